#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The published flaws of other NBD servers, each tried here: see nbd_published_flaws.py.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3

port=$(free_port)
start --nbd "unix:$nbd_socket" --nbd "tcp:127.0.0.1:$port"
create disk 64M
dd if=/dev/urandom bs=1M count=64 status=none | nbdcopy --flush - "$(nbd_uri disk)" || fail "nbdcopy"
copy_live disk "$work/before"
say "tried, a check each"
python3 "$tests/nbd_published_flaws.py" "$nbd_socket" "$port" "$daemon_pid" || fail "see above"
say "nothing was written by any of them"
copy_live disk "$work/after"
assert_same_bytes "$work/before" "$work/after" "the volume"
stop
