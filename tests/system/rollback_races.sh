#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rule 10 under fire: clients connect, write and leave while a volume is rolled back by two commands
# at once. None that was connected before a rollback writes after it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3

start
create disk 32M
hindsight mark disk base >/dev/null
python3 "$tests/rollback_races.py" "$bin/hindsight" "$nbd_socket" disk base "${HINDSIGHT_ROUNDS:-40}" >"$work/races" 2>&1 ||
  fail "$(cat "$work/races")"
say "$(cat "$work/races")"
assert_live_equals_now disk
stop
