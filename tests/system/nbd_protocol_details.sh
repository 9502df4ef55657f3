#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the specification demands of each command and each mistake of a client, spoken by libnbd and
# by bare sockets: see nbd_protocol.py.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3

start
create disk 64M
create other 8M
say "commands, flags and errors"
python3 "$tests/nbd_protocol.py" "$nbd_socket" || fail "nbd_protocol.py"
say "the server outlived it all, and lost nothing"
assert_live_equals_now disk
stop
