#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Long work: what came of it survives a kill, it can be cancelled and leaves nothing half-made, and what
# was under way when the daemon ended is told so.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs qemu-io jq

job() { "$bin/hindsight" jobs show "$1" --json 2>/dev/null; }
newest() { "$bin/hindsight" jobs --limit 1 --json 2>/dev/null | jq -r ".jobs[0].$1"; }
# await_job ID STATE
await_job() {
  local i
  for i in $(seq 300); do
    [ "$(job "$1" | jq -r .state)" = "$2" ] && return
    sleep 0.1
  done
  fail "job $1 is $(job "$1" | jq -c '[.state, .problem]') and not $2"
}

# await_newest FIELD VALUE [FIELD VALUE]: of the newest job.
await_newest() {
  local i
  for i in $(seq 1500); do
    [ "$(newest "$1")" = "$2" ] && [ "$(newest "${3:-$1}")" = "${4:-$2}" ] && return
    sleep 0.02
  done
  fail "the newest job is not of $*: $("$bin/hindsight" jobs --limit 1 --json 2>/dev/null | jq -c '.jobs[0] | [.kind, .state]')"
}

start
create shop 256M
qemu-io -f raw -c 'write -P 7 0 8M' -c flush "$(nbd_uri shop)" >/dev/null

say "verify is a job, and says what it always said"
hindsight verify >"$work/verify.out" 2>&1 || fail "verify: $(cat "$work/verify.out")"
hindsight verify --deep --json >"$work/verify.json" 2>/dev/null || fail "verify --deep"
assert_equal true "$(jq .ok "$work/verify.json")" "the report of verify --deep"
id=$(newest id)
assert_equal '["verify","done"]' "$(job "$id" | jq -c '[.kind, .state]')" "the job of verify"
job "$id" | jq -S .verification >"$work/before"
kill_daemon
start
job "$id" | jq -S .verification >"$work/after"
assert_same_bytes "$work/before" "$work/after" "what the job came to, after a kill"
hindsight jobs show "$id" | grep -q frames || fail "jobs show lacks the report"
hindsight jobs | sed 's/^/    /'
refused 1 'ended already' "$bin/hindsight" jobs cancel "$id"
refused 1 'no job 999' "$bin/hindsight" jobs show 999
refused 2 'ID|number|integer' "$bin/hindsight" jobs show never
refused 1 "a daemon's" "$bin/hindsight" --vault "$vault" jobs
# A verification that reads longer than a test looks at it: a journal of random bytes.
fill() { dd if=/dev/urandom of="$work/noise" bs=1M count=192 status=none && qemu-io -f raw -c "write -s $work/noise 0 192M" -c flush "$(nbd_uri shop)" >/dev/null; }
fill; fill

say "one that is cancelled ends, whoever asks"
"$bin/hindsight" verify --deep >"$work/cancelled.out" 2>&1 </dev/null & client=$!
await_newest state running
id=$(newest id)
refused 1 "under way already: job $id" "$bin/hindsight" verify
hindsight jobs cancel "$id" 2>/dev/null || fail "jobs cancel"
status=0; wait "$client" || status=$?
assert_equal 1 "$status" "exit of a verify that was cancelled"
grep -q "cancelled (job $id)" "$work/cancelled.out" || fail "it says: $(cat "$work/cancelled.out")"
await_job "$id" cancelled
"$bin/hindsight" verify --deep >"$work/cancelled.out" 2>&1 </dev/null & client=$!
await_newest state running
id=$(newest id)
kill -TERM "$client" # as Ctrl-C: the command has the job ended
status=0; wait "$client" || status=$?
assert_equal 1 "$status" "exit of a verify that was interrupted"
await_job "$id" cancelled

say "a restore that is cancelled leaves no image"
(rm -f "$work/pipe"; mkfifo "$work/pipe"; exec 3<>"$work/pipe"; exec "$bin/hindsight" restore shop --at now --to - >&3 2>"$work/restore.err" 3>&-) & client=$!
await_newest kind restore
id=$(newest id)
assert_equal shop "$(job "$id" | jq -r .volume)" "the volume of the job"
hindsight jobs cancel "$id" 2>/dev/null || fail "cancelling a restore"
cat "$work/pipe" >/dev/null & reader=$!
status=0; wait "$client" || status=$?
kill "$reader" 2>/dev/null || true
assert_equal 1 "$status" "exit of a restore that was cancelled"
grep -q "cancelled (job $id)" "$work/restore.err" || fail "it says: $(cat "$work/restore.err")"
await_job "$id" cancelled
hindsight restore shop --at now --to "$work/whole.img" 2>/dev/null || fail "the next restore"
assert_equal done "$(newest state)" "the job of a restore that went through"

say "what was under way when the daemon was killed is told so; a hydration goes on"
stop
start --hydration-rate 8M
hindsight recover shop --at now --as again >/dev/null 2>&1 || fail "recover"
hydration=$("$bin/hindsight" jobs --json | jq -r '[.jobs[] | select(.kind == "hydration")][0].id')
refused 1 'cannot be cancelled' "$bin/hindsight" jobs cancel "$hydration"
"$bin/hindsight" verify --deep >"$work/killed.out" 2>&1 </dev/null & client=$!
await_newest kind verify state running
id=$(newest id)
kill_daemon
status=0; wait "$client" || status=$?
assert_equal 1 "$status" "exit of a verify whose daemon was killed"
start
await_job "$id" interrupted
await_job "$hydration" 'done'
job "$hydration" | jq -e '.done_bytes == .total_bytes and .total_bytes > 0' >/dev/null || fail "the hydration: $(job "$hydration")"
"$bin/hindsight" verify --deep >"$work/stopped.out" 2>&1 </dev/null & client=$!
await_newest state running
id=$(newest id)
stop # does not wait for it
wait "$client" && fail "a verify whose daemon was stopped went through"
start
await_job "$id" interrupted
