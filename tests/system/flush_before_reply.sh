#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a FLUSH or FUA reply acknowledged is there after the daemon was killed at that moment.
# HINDSIGHT_FLUSH_CYCLES: how often (10).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3

start
create disk 16M
cycles=${HINDSIGHT_FLUSH_CYCLES:-10}
for ((cycle = 1; cycle <= cycles; cycle++)); do
  python3 "$tests/flush_witness.py" write "$nbd_socket" disk 0 "$work/first.log" &
  first=$!
  python3 "$tests/flush_witness.py" write "$nbd_socket" disk $((8 << 20)) "$work/second.log" &
  second=$!
  remember_process clients $first
  remember_process clients $second
  sleep "0.$(printf '%03d' $((100 + RANDOM % 800)))"
  kill_daemon
  wait $first || fail "the first witness ended with $?"
  wait $second || fail "the second witness ended with $?"
  start
  for witness in "0 first" "$((8 << 20)) second"; do
    read -r offset name <<<"$witness"
    python3 "$tests/flush_witness.py" check "$nbd_socket" disk "$offset" "$work/$name.log" >"$work/witness.out" ||
      fail "cycle $cycle, $name witness"
    say "cycle $cycle, $name witness: $(cat "$work/witness.out")"
  done
done
[ "$(grep -c ^f "$work/first.log")" -gt "$cycles" ] || fail "hardly any flush was acknowledged: nothing was tested"
assert_live_equals_now disk
stop
