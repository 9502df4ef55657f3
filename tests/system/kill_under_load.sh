#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of the daemon under fio, again and again: it starts again by itself, what was flushed is
# there, and the volume equals what the journal gives back.
# HINDSIGHT_KILL_CYCLES: how often (50).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs fio nbdcopy python3

cycles=${HINDSIGHT_KILL_CYCLES:-50}
regions=8
region_mib=6
# The last 16 MiB belong to the flush witness.
start
create disk $((regions * region_mib + 16))M
witness_at=$((regions * region_mib * 1048576))

# One region after the other is filled, flushed and remembered with its seed; the next is being
# written when the daemon dies.
declare -a seed_of
region_job() {
  echo "--name=region --rw=randwrite --bsrange=512-64k --bs_unaligned --iodepth=8 --verify=crc32c
    --offset=$(($1 * region_mib))M --size=${region_mib}M --randseed=$2"
}

for ((cycle = 1; cycle <= cycles; cycle++)); do
  region=$((cycle % regions))
  seed_of[region]=$cycle
  # shellcheck disable=SC2046
  fio_nbd "$(nbd_uri disk)" $(region_job $region $cycle) --do_verify=0 --end_fsync=1 || fail "fio in cycle $cycle"

  doomed=$(((cycle + 1) % regions))
  unset "seed_of[doomed]"
  # shellcheck disable=SC2046
  fio_doomed "$(nbd_uri disk)" $(region_job $doomed 999$cycle) --do_verify=0 --time_based --runtime=60 --rate=80m
  python3 "$tests/flush_witness.py" write "$nbd_socket" disk "$witness_at" "$work/witness.log" &
  witness_pid=$!
  remember_process clients $witness_pid
  sleep "0.$(printf '%03d' $((300 + RANDOM % 400)))"
  kill_daemon
  end_fio_doomed
  wait $witness_pid || fail "the witness ended with $? in cycle $cycle"

  start
  for region in "${!seed_of[@]}"; do
    # shellcheck disable=SC2046
    fio_nbd "$(nbd_uri disk)" $(region_job "$region" "${seed_of[region]}") --verify_only ||
      fail "flushed data of cycle ${seed_of[region]} is gone after the kill of cycle $cycle"
  done
  witness=$(python3 "$tests/flush_witness.py" check "$nbd_socket" disk "$witness_at" "$work/witness.log") ||
    fail "an acknowledged flush is gone after the kill of cycle $cycle"
  assert_live_equals_now disk
  say "cycle $cycle of $cycles: ${#seed_of[@]} flushed regions verified; $witness"
done

say "after a clean stop the vault alone gives the same volume"
copy_live disk "$work/last.img"
stop
restore disk now "$work/vault.img" --vault "$vault"
assert_same_bytes "$work/last.img" "$work/vault.img" "the vault against the volume"
