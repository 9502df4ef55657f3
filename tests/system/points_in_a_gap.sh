#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A point at which writes bypassed the journal is refused by every verb and by NBD, with the nearest
# whole points, and is had with --force and exit code 3; a volume that is still in a gap is not
# replayed (rule 12).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs nbdcopy nbdinfo jq
# shellcheck disable=SC2086  # $ask is words

# 20 seconds with 2 writes in each; its own backing store holds the newest state.
history() {
  local made
  chattr -R -i "$vault" 2>/dev/null || true
  rm -rf "${vault:?}" "${state:?}"
  made=$("$bin/make_history" --vault "$vault" --state "$state" --seconds 20 --writes 2 --size-mib 4 "$@") ||
    fail "make_history $*"
  last=$(jq -r .lsn <<<"$made")
}
# had COMMAND...: exit code 3, and the gap is named.
had() {
  local status=0
  "$@" >"$work/had.out" 2>"$work/had.err" || status=$?
  assert_equal 3 "$status" "exit code of $* ($(cat "$work/had.err"))"
  grep -q "in a gap of the history of vol.*the vault was full" "$work/had.err" || fail "$*: $(cat "$work/had.err")"
}
digest() { sha256sum <"$1"; }

say "a gap that is over: points before and behind it are whole"
history --gap 5:15
begin=$("$bin/hindsight" --vault "$vault" points vol --at "lsn:$last" --json | jq .nearest_gap.begin.lsn)
end=$("$bin/hindsight" --vault "$vault" points vol --at "lsn:$last" --json | jq .nearest_gap.end.lsn)
[ "$begin" -lt "$end" ] && [ "$end" -lt "$last" ] || fail "the gap is from $begin to $end of $last"
"$bin/hindsight" --vault "$vault" points vol >"$work/points" 2>"$work/points.err" && fail "points says nothing of the gap"
grep -q "history has a gap" "$work/points.err" || fail "points: $(cat "$work/points.err")"
for whole in $((begin - 1)) "$end" "$last"; do
  restore vol "lsn:$whole" "$work/whole-$whole" --vault "$vault"
  assert_equal 0 "$restore_status" "exit code of the restore at lsn:$whole"
done

say "one inside is refused by every verb, with the nearest whole points"
inside=$((begin + 3))
nearest="gap.*the vault was full.*lsn:$((begin - 1)) and lsn:$end.*--force"
refused 1 "$nearest" "$bin/hindsight" --vault "$vault" points vol --at "lsn:$inside"
refused 1 "$nearest" "$bin/hindsight" --vault "$vault" restore vol --at "lsn:$inside" --to "$work/none"
refused 1 "$nearest" "$bin/hindsight" --vault "$vault" diff vol --from first --to "lsn:$inside"
start
ask="$bin/hindsight --server unix:$state/control.sock"
for verb in "points vol" "view vol" "clone vol --as copy" "recover vol --as new" "rollback vol --yes" \
  "restore vol --to $work/none"; do
  refused 1 "$nearest" $ask $verb --at "lsn:$inside"
done
refused 1 "$nearest" $ask diff vol --from "lsn:$inside" --to now
[ ! -e "$work/none" ] || fail "a refused restore left a file"
refused 1 'gap|not|export' nbdinfo --size "$(nbd_uri "vol@lsn:$inside")"

say "with --force it is had, as far as history knows it, and exit code 3 says so"
had $ask restore vol --at "lsn:$inside" --to "$work/forced" --force
had "$bin/hindsight" --vault "$vault" restore vol --at "lsn:$inside" --to "$work/alone" --force
assert_same_bytes "$work/forced" "$work/alone" "the daemon's and the vault's image"
had $ask view vol --at "lsn:$inside" --force
uri=$(grep nbd "$work/had.out")
rm -f "$work/viewed"
nbdcopy "$uri" "$work/viewed" || fail "the forced view $uri cannot be read"
assert_same_bytes "$work/forced" "$work/viewed" "restore and view"
had $ask clone vol --at "lsn:$inside" --as copy --force
had $ask recover vol --at "lsn:$inside" --as new --force
had $ask diff vol --from "lsn:$inside" --to now --force
had $ask points vol --at "lsn:$inside" --force
grep -q "inside it" "$work/had.out" || fail "points: $(cat "$work/had.out")"
had $ask rollback vol --at "lsn:$inside" --yes --force
stop
start
for name in vol copy new; do
  rm -f "$work/live"
  nbdcopy "$(nbd_uri "$name")" "$work/live" || fail "$name cannot be read after a restart"
  assert_same_bytes "$work/forced" "$work/live" "$name after a restart"
done
stop

say "a gap that is not over: the volume is not served, its last whole point can be had"
history --gap 12
backing=$(echo "$state"/volumes/*.raw)
dd if=/dev/urandom of="$backing" bs=4096 count=1 conv=notrunc status=none  # what no journal took
before=$(digest "$backing")
start
begin=$("$bin/hindsight" --vault "$vault" points vol --at first --json | jq .nearest_gap.begin.lsn)
refused 1 "since .* is not over.*whole point is lsn:$((begin - 1))" $ask view vol --at now
refused 1 'not|export' nbdinfo --size "$(nbd_uri vol)"
$ask status >"$work/status" 2>&1 && fail "status has no alert: $(cat "$work/status")"
grep -q "vol is not served.*ahead of history.*lsn:$((begin - 1))" "$work/status" || fail "status: $(cat "$work/status")"
refused 1 'not served|ahead of history' $ask rollback vol --at first --yes
$ask recover vol --at "lsn:$((begin - 1))" --as back >/dev/null 2>&1 || fail "recover"
restore vol "lsn:$((begin - 1))" "$work/whole" --vault "$vault"
rm -f "$work/live"
nbdcopy "$(nbd_uri back)" "$work/live" || fail "the recovered volume cannot be read"
assert_same_bytes "$work/whole" "$work/live" "the recovered volume"
stop
assert_equal "$before" "$(digest "$backing")" "the backing store that is ahead of history"
