#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rule 10 under fire: clients connect, write and leave while a volume is rolled back by two commands
# at once. None that was connected before a rollback writes after it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3

start
create disk 32M
hindsight mark disk base >/dev/null
say "$(python3 "$tests/rollback_races.py" "$bin/hindsight" "$nbd_socket" disk base "${HINDSIGHT_ROUNDS:-40}" 2>"$work/problem")" ||
  fail "$(cat "$work/problem")"
[ ! -s "$work/problem" ] || fail "$(cat "$work/problem")"
assert_live_equals_now disk
stop
