#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of the daemon under fio, again and again: it starts again by itself, what was flushed is
# there, the volume equals what the journal gives back, and every mark made before is what it was
# when it was made. 90 kills take some 3 minutes; kill_under_postgres.sh makes the others.
#
# HINDSIGHT_KILL_CYCLES   how many kills both make together (100), one in ten of them there
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs fio nbdcopy python3

total=${HINDSIGHT_KILL_CYCLES:-100}
cycles=$((total - total / 10))
# Small regions: a cycle's time is in its programs' starts, and marks are read from end to end in
# every cycle.
regions=4
region_kib=256
witness_at=$((regions * region_kib * 1024))
size_mib=$((regions * region_kib / 1024 + 1))
start
create disk ${size_mib}M

# One region after the other is filled, flushed and remembered with its seed; the next is being
# written when the daemon dies.
declare -a seed_of
region_job() {
  echo "--name=region$1 --rw=randwrite --bsrange=512-64k --bs_unaligned --iodepth=8 --verify=crc32c
    --offset=$(($1 * region_kib))K --size=${region_kib}K --randseed=$2"
}

# mark LABEL EXPORT: EXPORT is the volume itself where nobody writes, else "view".
mark() {
  local lsn export=$2
  lsn=$(hindsight mark disk "$1" 2>/dev/null | grep -o 'lsn:[0-9]*') || fail "mark $1"
  [ "$export" = disk ] || export=disk@$lsn
  python3 "$tests/mark_witness.py" remember "$nbd_socket" "$export" "$1" "${lsn#lsn:}" "$work/marks" || fail "reading $export"
}

# Side by side, as most of fio's time is waiting; not as jobs of one fio, whose random numbers depend
# on a job's place among the others.
verify_regions() {
  local region pid pids=()
  for region in "${!seed_of[@]}"; do
    # shellcheck disable=SC2046
    timeout -k 5 300 fio --ioengine=nbd --uri="$(nbd_uri disk)" --verify_state_save=0 --verify_fatal=1 --refill_buffers \
      $(region_job "$region" "${seed_of[region]}") --verify_only >"$work/fio.$region" 2>&1 </dev/null &
    pids[region]=$!
    remember_process clients $!
  done
  for region in "${!pids[@]}"; do
    pid=${pids[region]}
    wait "$pid" || fail "what was flushed to region $region in cycle ${seed_of[region]} is gone: $(grep -m 3 verify: "$work/fio.$region")"
  done
}

started=$SECONDS
kills=0 marks_compared=0 regions_verified=0
for ((cycle = 1; cycle <= cycles; cycle++)); do
  region=$((cycle % regions))
  seed_of[region]=$cycle
  # shellcheck disable=SC2046
  fio_nbd "$(nbd_uri disk)" $(region_job $region $cycle) --do_verify=0 --end_fsync=1 || fail "fio in cycle $cycle"
  mark "quiet-$cycle" disk

  doomed=$(((cycle + 1) % regions))
  unset "seed_of[doomed]"
  # shellcheck disable=SC2046
  fio_doomed "$(nbd_uri disk)" $(region_job $doomed 999$cycle) --do_verify=0 --time_based --runtime=60 --rate=80m
  python3 "$tests/flush_witness.py" write "$nbd_socket" disk "$witness_at" "$work/witness.log" &
  witness_pid=$!
  remember_process clients $witness_pid
  sleep "0.$(printf '%03d' $((200 + RANDOM % 400)))"
  mark "busy-$cycle" view
  kill_daemon
  kills=$((kills + 1))
  end_fio_doomed
  wait $witness_pid || fail "the witness ended with $? in cycle $cycle"

  start
  python3 "$tests/mark_witness.py" check "$nbd_socket" disk "$work/marks" >"$work/marks.out" 2>&1 &
  marks_pid=$!
  verify_regions
  regions_verified=$((regions_verified + ${#seed_of[@]}))
  witness=$(python3 "$tests/flush_witness.py" check "$nbd_socket" disk "$witness_at" "$work/witness.log") ||
    fail "an acknowledged flush is gone after the kill of cycle $cycle"
  assert_live_equals_now disk
  wait $marks_pid || fail "after the kill of cycle $cycle: $(cat "$work/marks.out")"
  marks_compared=$((marks_compared + $(cat "$work/marks.out")))
  ((cycle % 10)) || say "cycle $cycle of $cycles: $(cat "$work/marks.out") marks as they were; $witness"
done
took=$((SECONDS - started))

say "after a clean stop the vault alone gives the same volume, and the same marks"
copy_live disk "$work/last.img"
stop
restore disk now "$work/vault.img" --vault "$vault"
assert_same_bytes "$work/last.img" "$work/vault.img" "the vault against the volume"
restored=0
while read -r label lsn digest; do
  rm -f "$work/mark.img"
  restore disk "mark:$label" "$work/mark.img" --vault "$vault"
  assert_equal "$digest  $work/mark.img" "$(sha256sum "$work/mark.img")" "the digest of mark $label at LSN $lsn"
  restored=$((restored + 1))
done <"$work/marks"
counted "$kills" "kill -9 cycles"
say "$kills kills in $took s under fio: $regions_verified flushed regions verified, ${witness%%,*} and kept," \
  "$marks_compared views of marks and $restored restores of marks compared"
