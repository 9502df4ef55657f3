#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A vault whose disk stands still: what was answered and is not durable yet is told of once it is older than alerts.rpo,
# by everything that tells; nothing is refused or lost, and when the disk goes on it is over. The disk is nbdkit's,
# which is stopped for a while.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs_root "mount a vault"
needs nbdkit nbdfuse mkfs.ext4 jq curl nbdsh
[ -e /dev/fuse ] && [ -e /dev/loop-control ] || skip "no /dev/fuse or loop devices to make a disk of"

# wait_until SECONDS WHAT COMMAND...
wait_until() {
  local i seconds=$1 what=$2
  shift 2
  for ((i = 0; i < seconds * 10; i++)); do
    "$@" && return 0
    sleep 0.1
  done
  fail "$what did not come in $seconds s"
}

say "a vault on a disk of its own"
nbdkit --foreground --exit-with-parent --unix "$work/disk.sock" memory 512M >"$work/nbdkit.log" 2>&1 </dev/null &
disk_pid=$!
remember_process servers "$disk_pid"
# Nothing of it can be cleaned up while its disk stands still.
trap 'code=$?; set +e; kill -CONT "$disk_pid"; (exit "$code"); on_exit' EXIT
wait_until 10 "nbdkit" test -S "$work/disk.sock"
mkdir "$vault"
attach_by_fuse "nbd+unix:///?socket=$work/disk.sock"
mkfs.ext4 -q -F "$device"
mount "$device" "$vault"
printf '[alerts]\nrpo = "2s"\n[journal]\nsegment_size = "20M"\n' >"$work/hindsight.toml"
start --config "$work/hindsight.toml"
create shop 16M
ask() { curl -sS --fail --unix-socket "$state/control.sock" "http://hindsight$1"; }
assert_equal 2000000000 "$(ask /api/status | jq .rpo_objective_ns)" "the objective"
assert_equal 0 "$(ask /api/alerts | jq '.alerts | length')" "alerts of a vault that is well"

say "its disk stands still"
kill -STOP "$disk_pid"
nbdsh -u "$(nbd_uri shop)" -c 'h.pwrite(b"x" * 4096, 4096)' -c 'assert h.pread(4096, 4096) == b"x" * 4096' ||
  fail "a write that nobody flushes was not answered"
is_told() { ask /api/alerts | jq -e '.alerts[0] | .kind == "rpo-missed" and .severity == "warning" and (has("ended") | not)' >/dev/null; }
wait_until 20 "the alert" is_told
ask /api/alerts | jq -e '.alerts[0].message | test("alerts.rpo is 2.0 s")' >/dev/null || fail "it says: $(ask /api/alerts)"
ask /api/status | jq -e '.volumes[0].lag_ns > 2000000000 and (.alerts | length == 1)' >/dev/null || fail "the status says: $(ask /api/status)"
ask /api/volumes/shop | jq -e '.state == "protected"' >/dev/null || fail "the volume says: $(ask /api/volumes/shop)"
exit_code=0
hindsight status >"$work/status" 2>&1 || exit_code=$?
assert_equal 3 "$exit_code" "the exit code of hindsight status: $(cat "$work/status")"
grep -q "alerts.rpo is 2.0 s" "$work/status" || fail "hindsight status says: $(cat "$work/status")"

say "and goes on"
kill -CONT "$disk_pid"
is_durable() { ask /api/volumes/shop | jq -e '.lag_ns == 0' >/dev/null; }
wait_until 20 "what was written to be durable" is_durable
assert_equal 0 "$(ask /api/status | jq '.alerts | length')" "alerts when it is over"
assert_live_equals_now shop
stop
unmount "$vault"
detach_volume
