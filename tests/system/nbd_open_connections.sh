#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Thousands of NBD connections that stay open and get nowhere keep nobody out, and leave nothing behind: see
# nbd_open_connections.py.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3
ulimit -n "$(ulimit -H -n)"
[ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge 4096 ] || skip "needs 4096 descriptors"

port=$(free_port)
echo "guest:00112233445566778899aabbccddeeff" >"$work/keys.psk"
printf '[nbd]\nlisten = ["unix:%s", "tcp:127.0.0.1:%s"]\npsk_file = "%s"\nclients = ["guest live disk"]\n' \
  "$nbd_socket" "$port" "$work/keys.psk" >"$work/hindsight.toml"
start --config "$work/hindsight.toml"
create disk 64M
say "clients that work, and new ones, beside 2,000 connections"
python3 "$tests/nbd_open_connections.py" "$nbd_socket" "$port" "$work/keys.psk" "$daemon_pid" "$daemon_log" || fail "see above"
assert_live_equals_now disk
stop
