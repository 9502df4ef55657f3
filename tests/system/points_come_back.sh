#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Views, clones, instant recovery, rollback and its undo, with the daemon killed in between: every
# one of them shows exactly what the volume held at its point, and none changes history.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3 nbdcopy nbdinfo qemu-io qemu-img jq

seed=${HINDSIGHT_SEED:-$RANDOM}
start
create disk 48M
create log 16M

say "three states of two volumes, each marked and copied (seed $seed)"
digest_of_file() { sha256sum <"$1"; }
for i in 1 2 3; do
  python3 "$tests/timed_writer.py" write "$nbd_socket" disk 1 $((seed + i)) "$work/disk.log" || fail "the writer"
  python3 "$tests/timed_writer.py" write "$nbd_socket" log 0.3 $((seed + 50 + i)) "$work/log.log" || fail "the writer"
  hindsight mark --all "state-$i" >/dev/null
  copy_live disk "$work/disk-$i.img"
  copy_live log "$work/log-$i.img"
done
assert_volume() { # NAME IMAGE WORDS
  copy_live "$1" "$work/is.img"
  assert_same_bytes "$2" "$work/is.img" "$3"
}

say "views are read-only, show their point, and tell holes"
for i in 1 2 3; do
  uri=$(hindsight view disk --at "mark:state-$i" 2>/dev/null)
  [[ $uri == *@lsn:* ]] || fail "view prints no lsn: form: $uri"
  rm -f "$work/view.img"
  nbdcopy "$uri" "$work/view.img"
  assert_same_bytes "$work/disk-$i.img" "$work/view.img" "view of state-$i"
done
refused 1 'read-only|permission|denied|not permitted' qemu-io -f raw -c 'write -P 1 0 4k' "$(nbd_uri disk@mark:state-1)"
refused 1 'outside of what is recorded' qemu-img info "$(nbd_uri disk@lsn:999999999)"
refused 1 'nowhere' qemu-img info "$(nbd_uri nowhere@lsn:3)"
create hollow 1G
qemu-io -f raw -c 'write -P 7 512M 1M' -c flush "$(nbd_uri hollow)" >/dev/null
hindsight mark hollow filled >/dev/null
data=$(nbdinfo --map --json "$(nbd_uri hollow@mark:filled)" | jq '[.[] | select(.type == 0) | .length] | add')
assert_equal 1048576 "$data" "bytes of data in the map of a view of a hollow volume"

say "a clone takes writes, keeps them over a kill, and touches nothing else"
hindsight clone disk --at mark:state-1 --as scratch >/dev/null 2>&1 || fail "clone"
refused 1 'scratch' "$bin/hindsight" clone disk --at mark:state-1 --as scratch
refused 1 'scratch' "$bin/hindsight" volume create scratch --size 4M
qemu-io -f raw -c 'write -P 9 1M 3M' -c 'discard 8M 1M' -c flush "$(nbd_uri scratch)" >/dev/null
cp "$work/disk-1.img" "$work/scratch.img"
qemu-io -f raw -c 'write -P 9 1M 3M' -c 'write -z 8M 1M' "$work/scratch.img" >/dev/null
kill_daemon
start
assert_volume scratch "$work/scratch.img" "the clone after the kill"
assert_volume disk "$work/disk-3.img" "the live volume beside the clone"
assert_equal scratch "$(hindsight clone list --json | jq -r '.clones[].name')" "clone list"

say "a damaged list of clones takes nothing else with it"
stop
cp "$state/clones/clones" "$work/clones.whole"
printf '#' | dd of="$state/clones/clones" bs=1 seek=30 conv=notrunc status=none
start
refused 3 "clones are not served.*$state/clones/clones" "$bin/hindsight" status
refused 1 "$state/clones/clones" "$bin/hindsight" clone list
refused 1 "$state/clones/clones" "$bin/hindsight" clone disk --at mark:state-1 --as other
refused 1 "$state/clones/clones" "$bin/hindsight" clone remove scratch
assert_volume disk "$work/disk-3.img" "the volume beside a damaged list of clones"
stop
cp "$work/clones.whole" "$state/clones/clones"
start
assert_volume scratch "$work/scratch.img" "the clone whose list is whole again"
hindsight clone remove scratch >/dev/null 2>&1 || fail "clone remove"
refused 1 'scratch|export|not' nbdinfo "$(nbd_uri scratch)"
[ -z "$(find "$state/clones" -name '*.data' -o -name '*.map')" ] || fail "clone remove left files"

say "instant recovery: protected and writable at once; killed while it hydrates, twice"
state_of() { hindsight volume show "$1" --json | jq -r .state; }
stop
start --hydration-rate 1M # so that it is under way at each kill
hindsight recover disk --at mark:state-2 --as again >/dev/null 2>&1 || fail "recover"
assert_volume again "$work/disk-2.img" "the recovered volume at once"
qemu-io -f raw -c 'write -P 3 5M 2M' -c flush "$(nbd_uri again)" >/dev/null
cp "$work/disk-2.img" "$work/again.img"
qemu-io -f raw -c 'write -P 3 5M 2M' "$work/again.img" >/dev/null
left=$(hindsight volume show again --json | jq .hydration.remaining_bytes)
[ "$left" -gt 0 ] || fail "nothing is left to be copied at once: $left bytes"
kill_daemon
start --hydration-rate 1M
assert_equal hydrating "$(state_of again)" "state of the recovered volume after a kill"
kill_daemon
start
assert_volume again "$work/again.img" "the recovered volume after the kills"
for ((n = 0; n < 600; n++)); do
  if [ "$(state_of again)" = protected ]; then break; fi
  sleep 0.05
done
assert_equal protected "$(state_of again)" "state of the recovered volume in the end"
hindsight mark again written >/dev/null
restore again mark:written "$work/restored.img"
assert_same_bytes "$work/again.img" "$work/restored.img" "the recovered volume's own history"
restore again "$(hindsight points again --json | jq -r '"lsn:\(.first.lsn)"')" "$work/first.img"
assert_same_bytes "$work/disk-2.img" "$work/first.img" "the recovered volume's first point"

say "rollback under a connected writer is refused (rule 10)"
hold_open() { # NAME
  python3 -c 'import nbd, sys, time
h = nbd.NBD(); h.set_export_name(sys.argv[2]); h.connect_unix(sys.argv[1]); print("open", flush=True); time.sleep(600)' \
    "$nbd_socket" "$1" >"$work/holder.out" 2>/dev/null &
  holder=$!
  remember_process clients $holder
  for ((n = 0; n < 100; n++)); do
    if [ -s "$work/holder.out" ]; then return 0; fi
    sleep 0.05
  done
  fail "the client that stays connected did not connect"
}
hold_open disk
refused 1 'connected.*unmount' "$bin/hindsight" rollback disk log --at mark:state-1 --yes
refused 2 'offset|lean|zone|moment|ago' "$bin/hindsight" rollback disk --at '1 minute ago' --yes
hindsight volume rename disk renamed >/dev/null # its client stays, under the name it asked for
refused 1 'connected.*unmount' "$bin/hindsight" rollback disk log --at mark:state-1 --yes
hindsight volume rename renamed disk >/dev/null
assert_volume disk "$work/disk-3.img" "the volume after refused rollbacks"
changed=$(hindsight rollback disk log --at mark:state-1 --dry-run --json | jq .changed_bytes)
[ "$changed" -gt 0 ] || fail "--dry-run says that $changed bytes change"

say "with --disconnect both volumes go back to one LSN; writers are refused until resume"
before=$(hindsight status --json | jq .journal.journal_bytes)
undo=$(hindsight rollback disk log --at mark:state-1 --yes --disconnect --json 2>/dev/null | jq -r .undo)
kill -KILL $holder 2>/dev/null || true
wait $holder 2>/dev/null || true
[[ $undo == lsn:* ]] || fail "rollback prints no undo: $undo"
assert_volume disk "$work/disk-1.img" "disk after the rollback"
assert_volume log "$work/log-1.img" "log after the rollback"
grown=$(($(hindsight status --json | jq .journal.journal_bytes) - before))
[ "$grown" -le 65536 ] || fail "the rollback took $grown bytes of journal"
refused 1 'read-only|permission|denied|not permitted' qemu-io -f raw -c 'write -P 1 0 4k' "$(nbd_uri disk)"
kill_daemon
start
refused 1 'read-only|permission|denied|not permitted' qemu-io -f raw -c 'write -P 1 0 4k' "$(nbd_uri disk)"
hindsight volume resume disk >/dev/null 2>&1 || fail "volume resume disk"
hindsight volume resume log >/dev/null 2>&1 || fail "volume resume log"
assert_volume disk "$work/disk-1.img" "disk after the kill"
qemu-io -f raw -c 'write -P 4 2M 1M' -c flush "$(nbd_uri disk)" >/dev/null
copy_live disk "$work/disk-4.img"
hindsight mark disk state-4 >/dev/null

say "the undo, the undo of the undo, and a kill in the middle of each"
hindsight rollback disk log --at "$undo" --yes >/dev/null 2>&1 || fail "the undo"
assert_volume disk "$work/disk-3.img" "disk after the undo"
assert_volume log "$work/log-3.img" "log after the undo"
kill_daemon
start
hindsight rollback disk --at mark:state-4 --yes >/dev/null 2>&1 || fail "the undo of the undo"
kill_daemon
start
assert_volume disk "$work/disk-4.img" "disk after the undo of the undo"

say "no point has changed: with the daemon, and from the vault alone when everything else is lost"
compare_points() {
  local i
  for i in 1 2 3; do
    rm -f "$work/point.img"
    restore disk "mark:state-$i" "$work/point.img" "$@"
    assert_same_bytes "$work/disk-$i.img" "$work/point.img" "disk at state-$i $*"
    rm -f "$work/point.img"
    restore log "mark:state-$i" "$work/point.img" "$@"
    assert_same_bytes "$work/log-$i.img" "$work/point.img" "log at state-$i $*"
  done
  rm -f "$work/point.img"
  restore disk mark:state-4 "$work/point.img" "$@"
  assert_same_bytes "$work/disk-4.img" "$work/point.img" "disk at state-4 $*"
  rm -f "$work/point.img"
  restore again mark:written "$work/point.img" "$@"
  assert_same_bytes "$work/again.img" "$work/point.img" "again $*"
}
compare_points
compare_points --vault "$vault"
stop
rm -rf "$state/volumes" "$vault/index"
compare_points --vault "$vault"
[ ! -e "$vault/index" ] || fail "reading a vault wrote to it"
