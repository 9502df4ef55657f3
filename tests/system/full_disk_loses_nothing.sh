#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A full disk, on the vault's side and on the volumes': writes are refused before they are
# acknowledged, what was acknowledged is there and stays readable, and room brings the volume back.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs_root "mount small file systems"
needs python3 nbdcopy qemu-io

# small_disk NAME MIB: an ext4 of its own at $work/NAME.
small_disk() {
  truncate -s "$2M" "$work/$1.disk"
  mkfs.ext4 -q -F -m 0 "$work/$1.disk"
  mkdir "$work/$1"
  mount -o loop "$work/$1.disk" "$work/$1" || skip "this machine mounts no loop devices"
}
# larger_disk NAME MIB
larger_disk() {
  unmount "$work/$1"
  detach_loops_below "$work"
  truncate -s "$2M" "$work/$1.disk"
  e2fsck -fp "$work/$1.disk" >/dev/null 2>&1 || [ $? = 1 ]
  resize2fs "$work/$1.disk" >/dev/null 2>&1
  mount -o loop "$work/$1.disk" "$work/$1"
}

small_segments=(--segment-size 20M)

# Writes random MiBs until an error; prints how many were acknowledged, and their flush.
fill() {
  python3 - "$nbd_socket" "$1" "$2" "$work/$1.model" <<'PYTHON'
import nbd, os, sys
path, export, most, model = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
handle = nbd.NBD()
handle.set_export_name(export)
handle.connect_unix(path)
MIB = 1 << 20
acknowledged, failure = 0, "none"
with open(model, "wb") as copy:
    for number in range(most):
        data = os.urandom(MIB)
        try:
            handle.pwrite(data, number * MIB)
            if number % 4 == 3:
                handle.flush()
        except nbd.Error as error:
            failure = "%d %s" % (error.errnum, error.string)
            break
        copy.write(data)
        acknowledged += 1
print(acknowledged, failure)
PYTHON
}

# The first MiBs of FILE are what was acknowledged.
starts_with_model() {
  cmp -n $(($3 << 20)) "$work/$1.model" "$2" || fail "$4: acknowledged writes of $1 are missing"
}

say "a full vault"
small_disk vault-disk 200
vault=$work/vault-disk/journal
start "${small_segments[@]}"
create data 1G
read -r acknowledged failure <<<"$(fill data 400)"
[ "$failure" != none ] || fail "400 MiB of random bytes fitted into a vault of 200 MiB"
[ "$acknowledged" -ge 32 ] || fail "only $acknowledged MiB were taken by a vault of 200 MiB"
say "$acknowledged MiB were acknowledged; then: ${failure#* }"
assert_equal 28 "${failure%% *}" "errno of a write that the vault cannot take (ENOSPC)"
hindsight status >"$work/status.out" 2>&1 || [ $? = 3 ] || fail "status with a full vault: $(cat "$work/status.out")"
copy_live data "$work/live"
starts_with_model data "$work/live" "$acknowledged" "the live volume beside a full vault"
hindsight mark data full >/dev/null 2>&1 || true
# again WORDS: a start on the full vault, and what it serves.
again() {
  if ! appliance_start "${small_segments[@]}"; then
    complain "hindsightd does not start $1: $(tail -n 1 "$daemon_log")"
    return 0
  fi
  copy_live data "$work/live"
  starts_with_model data "$work/live" "$acknowledged" "the live volume $1"
}
stop
again "on a full vault"
kill_daemon
again "on a full vault after a kill"
kill_daemon
restore data now "$work/restored" --vault "$vault"
starts_with_model data "$work/restored" "$acknowledged" "a restore from a full vault"

say "room again: the daemon takes writes again"
larger_disk vault-disk 400
start "${small_segments[@]}"
copy_live data "$work/live"
starts_with_model data "$work/live" "$acknowledged" "the live volume after there was room again"
qemu-io -f raw -c "write -P 7 900M 1M" -c flush -c "read -P 7 900M 1M" "$(nbd_uri data)" >/dev/null ||
  fail "no writes after there was room again"
stop
rm -f "$work/live" "$work/restored" "$work/data.model"
unmount "$work/vault-disk"
detach_loops_below "$work"

say "a full disk below the volumes"
vault=$work/vault-roomy
small_disk state-disk 96
state=$work/state-disk/state
nbd_socket=$state/nbd.sock
export HINDSIGHT_SERVER=unix:$state/control.sock
start "${small_segments[@]}"
status=0
hindsight volume create data --size 1G >"$work/create.out" 2>"$work/create.err" || status=$?
if [ "$status" != 0 ]; then
  grep -qiE 'space|room|full' "$work/create.err" || fail "the refusal does not speak of space: $(cat "$work/create.err")"
  say "refused at once: $(cat "$work/create.err")"
  exit 0
fi
create neighbour 8M
read -r acknowledged failure <<<"$(fill data 300)"
say "$acknowledged MiB were acknowledged; then: ${failure#* }"
# Alerts make it exit with 3.
state_of() { { hindsight status --json 2>/dev/null || [ $? = 3 ]; } | jq -r ".volumes[] | select(.name == \"$1\") | .state"; }
for ((i = 0; i < 100; i++)); do
  if [ "$(state_of data)" = fenced ]; then break; fi
  sleep 0.1
done
assert_equal fenced "$(state_of data)" "state of the volume whose backing disk is full"
assert_equal protected "$(state_of neighbour)" "state of its neighbour"
refused 3 'space|full' "$bin/hindsight" status
restore data now "$work/restored"
starts_with_model data "$work/restored" "$acknowledged" "a restore of the fenced volume"
say "the neighbour on the same disk is served, and room plus a restart bring the volume back"
nbdinfo --size "$(nbd_uri neighbour)" >/dev/null || fail "the neighbour is not served"
appliance_stop
larger_disk state-disk 2048
start "${small_segments[@]}"
copy_live data "$work/live"
starts_with_model data "$work/live" "$acknowledged" "the volume after there was room again"
assert_live_equals_now data

say "an instant recovery whose disk fills up is served, says so, and goes on when there is room"
room=$(df --output=avail -B1 "$work/state-disk" | tail -n 1)
fallocate -l $((room - (24 << 20))) "$work/state-disk/ballast"
hindsight recover data --at now --as copy >/dev/null 2>&1 || fail "recover beside a full disk"
hydration_of() { { hindsight volume show copy --json 2>/dev/null || [ $? = 3 ]; } | jq -r "$1"; }
for ((i = 0; i < 200; i++)); do
  if [[ $(hydration_of '.hydration.problem // ""') == *space* ]]; then break; fi
  sleep 0.1
done
[[ $(hydration_of '.hydration.problem // ""') == *space* ]] || fail "hydration onto a full disk names no problem: $(hydration_of .)"
copy_live copy "$work/live"
starts_with_model data "$work/live" "$acknowledged" "the recovered volume on a full disk"
rm "$work/state-disk/ballast"
for ((i = 0; i < 300; i++)); do
  if [ "$(hydration_of .state)" = protected ]; then break; fi
  sleep 0.1
done
assert_equal protected "$(hydration_of .state)" "state of the recovered volume after there was room"
copy_live copy "$work/live"
starts_with_model data "$work/live" "$acknowledged" "the recovered volume after there was room"
stop
