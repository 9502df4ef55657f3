#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The timeline against what a client did: sums of its steps are exactly what was written, over a stop,
# a kill, and without the daemon; and the second of a destruction is found in it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs qemu-io nbdsh jq

timeline() { "$bin/hindsight" timeline "$@" --json 2>"$work/timeline.err" || [ $? = 3 ] || fail "timeline $*: $(cat "$work/timeline.err")"; }
# totals FILE: writes, and bytes written, zeroed, trimmed.
totals() { jq -c '[.steps | map(.writes), map(.written_bytes), map(.zeroed_bytes), map(.trimmed_bytes) | add // 0]' "$1"; }
# await_sum VOLUME FIELD BYTES: until the pulse of the last second is recorded.
await_sum() {
  local i sum
  for i in $(seq 300); do
    sum=$(timeline "$1" --since first --step 1d | jq "[.steps[].$2] | add // 0")
    [ "$sum" = "$3" ] && return
    sleep 0.1
  done
  fail "$2 of $1 are $sum in 30 s, and not $3"
}

start
create shop 64M
create other 16M

say "every byte is there once, in steps of any length"
qemu-io -f raw -c 'write -P 7 0 8M' -c 'write -P 7 8M 1M' -c flush "$(nbd_uri shop)" >/dev/null
qemu-io -f raw -c 'write -P 9 0 4M' -c flush "$(nbd_uri other)" >/dev/null
sleep 1.2
qemu-io -f raw -c 'write -P 8 1M 2M' -c 'write -z 4M 1M' -c 'discard 6M 1M' -c flush "$(nbd_uri shop)" >/dev/null
hindsight mark shop busy >/dev/null
await_sum shop written_bytes 11534336
await_sum other written_bytes 4194304
for step in 1s 7s 1min 1h 1d; do
  timeline shop --step "$step" >"$work/steps.json"
  assert_equal "11534336,1048576,1048576" "$(jq -r '[(.steps | map(.written_bytes), map(.zeroed_bytes), map(.trimmed_bytes)) | add] | join(",")' "$work/steps.json")" "bytes in steps of $step"
done
assert_equal 4194304 "$(timeline other | jq '.steps | map(.written_bytes) | add')" "bytes of the other volume"
assert_equal busy "$(timeline shop | jq -r '.events[] | select(.kind == "mark").text')" "the mark"
[ "$(timeline shop --step 1s | jq '.steps | length')" -ge 2 ] || fail "two bursts more than a second apart are one step"

say "the same without the daemon, beside it, after a stop and after a start"
timeline shop --step 1min | jq -c .steps >"$work/before.json"
stop
"$bin/hindsight" --vault "$vault" timeline shop --step 1min --json | jq -c .steps >"$work/alone.json"
assert_same_bytes "$work/before.json" "$work/alone.json" "the vault's timeline against the daemon's"
start
timeline shop --step 1min --since first | jq -c .steps >"$work/after.json"
assert_same_bytes "$work/before.json" "$work/after.json" "the timeline after a start"
"$bin/hindsight" --vault "$vault" timeline shop --step 1min --since first --json | jq -c .steps >"$work/beside.json"
assert_same_bytes "$work/before.json" "$work/beside.json" "the vault's timeline beside the daemon"

say "a kill takes nothing that was flushed, from seconds or days, with the next daemon or without"
qemu-io -f raw -c 'write -P 5 16M 16M' -c flush "$(nbd_uri shop)" >/dev/null
kill_daemon
expected=28311552
for step in 1s 1min 1h 1d; do
  "$bin/hindsight" --vault "$vault" timeline shop --since first --step "$step" --json >"$work/steps.json" 2>/dev/null || [ $? = 3 ] || fail "the vault's timeline"
  assert_equal "$expected" "$(jq '.steps | map(.written_bytes) | add' "$work/steps.json")" "bytes in the vault in steps of $step"
done
start
for step in 1s 1min 1h 1d; do
  assert_equal "$expected" "$(timeline shop --since first --step "$step" | jq '.steps | map(.written_bytes) | add')" "bytes after the kill in steps of $step"
done
timeline shop | jq -e '.events[] | select(.kind == "crash")' >/dev/null || fail "the kill is not on the timeline"

say "the second of a destruction just before a kill is found, and the point before it is whole"
copy_live shop "$work/whole.img"
sleep 1.1
destroyed=$(date +%s)
qemu-io -f raw -c 'discard 0 64M' -c flush "$(nbd_uri shop)" >/dev/null
kill_daemon
start
found=$(timeline shop --step 1s | jq -r '.steps | max_by(.trimmed_bytes) | .begin')
[ $(($(date -d "$found" +%s) - destroyed)) -le 1 ] && [ $(($(date -d "$found" +%s) - destroyed)) -ge 0 ] ||
  fail "the destruction at $(date -u -d "@$destroyed") is on the timeline at $found"
hindsight timeline shop --step 1s >"$work/timeline.txt" 2>/dev/null
cat "$work/timeline.txt" | sed 's/^/    /'
before=$(sed -n 's/^  hindsight points shop --at //p' "$work/timeline.txt")
[ -n "$before" ] || fail "the timeline names no point before the destruction"
rm -f "$work/back.img"
restore shop "$before" "$work/back.img"
assert_same_bytes "$work/whole.img" "$work/back.img" "the point that the timeline names"

say "the drawing fits a pipe, and a terminal without UTF-8"
if LC_ALL=C hindsight timeline shop 2>/dev/null | LC_ALL=C grep -qP '[\x80-\xff\x1b]'; then fail "an ASCII locale gets other bytes"; fi
LC_ALL=C.UTF-8 hindsight timeline shop 2>/dev/null | grep -q '█' || fail "no bar in a UTF-8 locale"
[ "$(COLUMNS=50 LC_ALL=C hindsight timeline shop --step 1s 2>/dev/null | sed -n '/^written/,/^$/p' | wc -L)" -le 50 ] || fail "wider than COLUMNS"

say "what cannot be asked is refused"
refused 1 'there is no volume nowhere' "$bin/hindsight" timeline nowhere
refused 1 'there is history from .* to .* only' "$bin/hindsight" timeline shop --until 2001-01-01T00:00:00Z
refused 1 'comes after' "$bin/hindsight" timeline shop --since now --until mark:busy
refused 1 'nowhere|no mark' "$bin/hindsight" timeline shop --since mark:nowhere
refused 2 'unit' "$bin/hindsight" timeline shop --step 5
refused 2 'step' "$bin/hindsight" timeline shop --step 0s
refused 2 'cannot be understood' "$bin/hindsight" timeline shop --since yesteryear
hindsight volume remove other >/dev/null 2>&1
assert_equal 4194304 "$(timeline other --since first | jq '.steps | map(.written_bytes) | add')" "bytes of a removed volume"
