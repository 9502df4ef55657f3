#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every second, mark and LSN of a history gives back exactly what the volume held then: with the
# daemon, with --vault beside it, and with --vault after it was killed and its volumes are lost.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3 nbdcopy jq

size=$((16 << 20))
seconds=${HINDSIGHT_SECONDS:-4}
seed=${HINDSIGHT_SEED:-$RANDOM}
start
create disk 16M
create neighbour 16M

say "$seconds seconds of changes on two volumes, one mark a second (seed $seed)"
first_us=${EPOCHREALTIME/[.,]/}
for ((i = 1; i <= seconds; i++)); do
  python3 "$tests/timed_writer.py" write "$nbd_socket" neighbour 1 $((seed + 100 + i)) "$work/neighbour.log" &
  python3 "$tests/timed_writer.py" write "$nbd_socket" disk 1 $((seed + i)) "$work/disk.log" || fail "the writer"
  wait $! || fail "the neighbour's writer"
  # Nobody writes now: mark, LSN and copy are of one state.
  hindsight mark disk "end-$i" >/dev/null
  copy_live disk "$work/end-$i.img"
  digest_of[i]=$(sha256sum <"$work/end-$i.img")
  rm "$work/end-$i.img"
  mark_us[i]=${EPOCHREALTIME/[.,]/}
  mark_lsn[i]=$(lsn_of disk "mark:end-$i")
  [[ ${mark_lsn[i]} =~ ^[0-9]+$ ]] || fail "points --json gives no lsn for mark:end-$i: ${mark_lsn[i]}"
done
last_us=${EPOCHREALTIME/[.,]/}
# The vault alone knows that nothing followed as soon as the second is closed, within about a second.
sleep 2

rfc3339() { date -u -d "@$(($1 / 1000000)).$(printf '%06d' $(($1 % 1000000)))" +%Y-%m-%dT%H:%M:%S.%6N+00:00; }

# compare_all WORDS VAULT-OPTIONS...
compare_all() {
  local words=$1 i at changes count=0
  shift
  for ((i = 1; i <= seconds; i++)); do
    for point in "mark:end-$i" "lsn:${mark_lsn[i]}" "$(rfc3339 "${mark_us[i]}")"; do
      rm -f "$work/image"
      restore disk "$point" "$work/image" "$@"
      assert_equal "${digest_of[i]}" "$(sha256sum <"$work/image")" "restore at $point $words"
      count=$((count + 1))
    done
  done
  for ((at = (first_us / 1000000 + 1) * 1000000; at <= last_us; at += 1000000)); do
    rm -f "$work/image"
    restore disk "$(rfc3339 "$at")" "$work/image" "$@"
    changes=$(python3 "$tests/timed_writer.py" check "$work/disk.log" $size "$at" "$work/image") ||
      fail "restore at the whole second $(rfc3339 "$at") $words"
    rm -f "$work/image"
    restore neighbour "$(rfc3339 "$at")" "$work/image" "$@"
    python3 "$tests/timed_writer.py" check "$work/neighbour.log" $size "$at" "$work/image" >/dev/null ||
      fail "restore of the neighbour at $(rfc3339 "$at") $words"
    count=$((count + 2))
  done
  say "$count restores $words equal what was written (the last one after $changes)"
}

compare_all "with the daemon"
compare_all "from the vault beside the daemon" --vault "$vault"

say "a second volume and the live one are untouched by all that"
assert_live_equals_now disk
assert_live_equals_now neighbour

say "to standard output and as qcow2"
hindsight restore disk --at "mark:end-1" --to - 2>/dev/null >"$work/stdout.img" || fail "restore --to -"
assert_equal "${digest_of[1]}" "$(sha256sum <"$work/stdout.img")" "restore --to -"
hindsight restore disk --at "mark:end-1" --to "$work/image.qcow2" --format qcow2 >/dev/null 2>&1 || fail "restore --format qcow2"
qemu-img compare -q -f qcow2 -F raw "$work/image.qcow2" "$work/stdout.img" || fail "the qcow2 image differs"

kill_daemon
rm -rf "$state/volumes"
compare_all "from the vault alone, the volumes being lost" --vault "$vault"
