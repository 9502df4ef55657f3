#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a checker may do wrong, and cannot: it lies, dies, falls silent, says too much, wants what is not its
# own, writes without end; its tools misbehave; it is cancelled, and its daemon is killed. The daemon says so
# and goes on, and nothing of a check stays, no process and no file.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
makes_namespaces || skip "the kernel makes no user namespace here (in a chroot it does not), which hindsight-check wants"
needs_root "put tools in the place of others"
needs jq nbdfuse nbdcopy e2fsck mkfs.ext4 curl
python3 -c 'import nbd' 2>/dev/null || fail "no python3-libnbd here; tools/setup --tests installs it"

job() { "$bin/hindsight" jobs show "$1" --json 2>/dev/null; }
# await_job ID STATE
await_job() {
  local i
  for ((i = 0; i < 6000; i++)); do
    [ "$(job "$1" | jq -r .state)" = "$2" ] && return
    sleep 0.05
  done
  fail "job $1 is $(job "$1" | jq -c '[.state, .problem]') and not $2"
}
# begin: prints the number of the job.
begin() {
  curl -sS --fail-with-body --unix-socket "$state/control.sock" --json '{"at": "now"}' http://localhost/api/volumes/shop/checks | jq .id
}
# does HOW STATE PATTERN: what comes of a check by a checker that does so.
does() {
  local id
  echo "$1" >"$work/how"
  id=$(begin)
  await_job "$id" "$2"
  job "$id" | jq -r '.problem // "none"' | grep -qE -- "$3" || fail "a checker that does $1: $(job "$id" | jq -c .problem)"
  [ "$2" = 'done' ] || echo "    $1: $(job "$id" | jq -r .problem | cut -c 1-200)"
}
learnt() { jq -e "$1" "$work/learnt" >/dev/null 2>&1; }
# await_learnt FILTER: the checker writes down what it met.
await_learnt() {
  local i
  for ((i = 0; i < 2400; i++)); do
    learnt "$1" && return
    sleep 0.05
  done
  fail "the checker did not meet $1: $(cat "$work/learnt")"
}
nothing_stays() {
  assert_equal '' "$(ls "$state/checks")" "what checks leave"
  local i
  for ((i = 0; i < 1200; i++)); do
    [ -z "$(children_of "$checks_pid")" ] && return
    sleep 0.05
  done
  fail "what checks began still runs: $(ps -o pid,args -p "$(children_of "$checks_pid" | paste -sd ,)")"
}
# Those that are no zombies, which the loop has yet to wait for.
children_of() { ps -o pid= -o stat= --ppid "$1" | awk '$2 !~ /^Z/ { print $1 }'; }

: >"$work/learnt"
serve_checks python3 "$tests/false_checker.py" "$work"
start
create shop 64M
truncate -s 64M "$work/ext4"
mkfs.ext4 -q "$work/ext4"
nbdcopy --flush "$work/ext4" "$(nbd_uri shop)" || fail "nbdcopy"
copy_live shop "$work/live.before"
before=$(hindsight volume show shop --json | jq .last_lsn)

say "lies of every kind"
for lie in outside negative half text outcome nobody control long member many partition contradiction word list number broken deep bytes; do
  does "$lie" failed 'does not keep to what was agreed'
done

say "it dies, fails, says too much, falls silent"
does dies failed 'ended before it had a result'
does fails failed 'it cannot be helped'
# One that has said why and ended before the daemon says what it wants.
serve_checks sh -c 'echo "{\"failed\": \"it may not begin\"}" >&0'
for _ in 1 2 3 4 5; do does 'begins nothing' failed 'it may not begin'; done
serve_checks python3 "$tests/false_checker.py" "$work"
does chatty failed 'more than 4096 lines'
does flood failed 'longer than'
await_learnt '.flood == "ended"'
does holds 'done' none
sed 's/^/    /' <<<"$(job "$(hindsight jobs --limit 1 --json | jq '.jobs[0].id')" | jq -c .check)"

say "it reaches stretches of the copy, and nothing else; they are counted"
does stretches 'done' none
learnt '.stretches > 50' || fail "stretches: $(cat "$work/learnt")"
does inside 'done' none
learnt '.inside' || fail "inside: $(cat "$work/learnt")"
does writes failed 'written as much as they may'
nothing_stays

say "four at once; who cancels one ends it"
echo silent >"$work/how"
ids=()
for i in 1 2 3 4; do ids+=("$(begin)"); done
refused 1 '4 checks are under way' "$bin/hindsight" check shop --at now
for id in "${ids[@]}"; do hindsight jobs cancel "$id" 2>/dev/null || fail "cancelling job $id"; done
for id in "${ids[@]}"; do await_job "$id" cancelled; done
await_learnt '.silent == "was told to end"'
"$bin/hindsight" check shop --at now >"$work/cancelled.out" 2>&1 </dev/null & client=$!
for ((i = 0; i < 2400; i++)); do
  [ "$(hindsight jobs --limit 1 --json | jq -r '.jobs[0] | .state + (.doing // "")')" = "runningsaying nothing" ] && break
  sleep 0.05
done
kill -TERM "$client" # as Ctrl-C
status=0; wait "$client" || status=$?
assert_equal 1 "$status" "exit of a check that was interrupted"
grep -q 'cancelled' "$work/cancelled.out" || fail "it says: $(cat "$work/cancelled.out")"
nothing_stays

say "a daemon that is killed leaves nothing, and one that is stopped does not wait"
id=$(begin)
for ((i = 0; i < 2400; i++)); do
  [ "$(job "$id" | jq -r '.doing // ""')" = "saying nothing" ] && break
  sleep 0.05
done
: >"$work/learnt"
kill_daemon
await_learnt '.silent == "was told to end"'
nothing_stays
touch "$state/checks/killed-before-it-was-open.data" "$state/checks/killed-before-it-was-open.map"
start
await_job "$id" interrupted
nothing_stays
id=$(begin)
stop
start
await_job "$id" interrupted
nothing_stays

say "time that is up"
stop
HINDSIGHTD_CHECK_TIME_LIMIT=2s start
does silent failed 'took longer than check.time_limit .*saying nothing'
nothing_stays
stop
kill "$checks_pid"

# instead_of_e2fsck SCRIPT: the real checker, for which e2fsck is this.
instead_of_e2fsck() {
  printf '#!/bin/sh\n%s\n' "$1" >"$work/e2fsck.new"
  chmod "${2:-755}" "$work/e2fsck.new"
  mv "$work/e2fsck.new" "$work/e2fsck"
}
cat >"$work/real" <<RUN
#!/bin/sh
mount --bind "$work/e2fsck" /usr/sbin/e2fsck
exec "$bin/hindsight-check"
RUN
chmod +x "$work/real"
instead_of_e2fsck 'exit 0'
serve_checks unshare --mount "$work/real"
start
# tool SCRIPT FILTER: what comes of a check by it holds.
tool() {
  local id
  instead_of_e2fsck "$1" "${3:-755}"
  id=$(begin)
  while [ "$(job "$id" | jq -r .state)" = running ]; do sleep 0.05; done
  job "$id" | jq -e "$2" >/dev/null || fail "a tool that does '$1': $(job "$id" | jq -c .)"
}

say "tools that misbehave: no word of theirs does harm, and no verdict comes of what is none"
tool 'printf "\033[2Jred\377\302\205\t%s\n" alert; exit 4' '.check.file_systems[0] | .outcome == "damaged" and .output == "[2Jred?? alert\n"'
tool 'while :; do echo 0123456789012345678901234567890; done | head -c 300000; echo END; exit 4' \
  '.check.file_systems[0] | (.output | length == 4096 and endswith("END\n"))'
tool 'kill -SEGV $$' '.check.file_systems[0] | .outcome == "not_checked" and (.reason | test("signal 11"))'
tool 'exit 0' '.check.file_systems[0] | .outcome == "not_checked" and (.reason | test("e2fsprogs"))' 644
tool 'kill -9 -1' '.state == "failed" and (.problem | test("nbdfuse has ended"))'
tool 'id -u; grep CapEff /proc/self/status; ls /proc/self/fd | wc -l; exit 4' \
  '.check.file_systems[0].output | test("CapEff:.0000000000000000") and test("\n4\n$")'
tool 'unshare -Ur true 2>&1; mount -t tmpfs none /mnt 2>&1; exit 4' \
  '.check.file_systems[0].output | test("unshare failed: Operation not permitted") and test("mount: .*(denied|permitted|must be superuser)")'
tool 'echo x >/tmp/written-by-'$$' && ls /tmp; dd if=/dev/zero of="$2" bs=4k count=4096 conv=fsync; exit 4' '.check.file_systems[0].outcome == "damaged"'
[ ! -e "/tmp/written-by-$$" ] || fail "what a tool writes comes out"
nothing_stays

say "one that is under way is ended with its check"
instead_of_e2fsck "exec -a checked-for-ever-$$ sleep 7777"
sed -i '1s|sh|bash|' "$work/e2fsck"
tools_running() { pgrep -f "^checked-for-ever-$$ 7777" || true; }
id=$(begin)
for ((i = 0; i < 2400; i++)); do
  [ -n "$(tools_running)" ] && break
  sleep 0.05
done
[ -n "$(tools_running)" ] || fail "the tool does not run: $(job "$id")"
for ((i = 0; i < 2400; i++)); do
  [ "$(job "$id" | jq -r .doing)" = "checking ext4 at offset 0" ] && break
  sleep 0.05
done
assert_equal "checking ext4 at offset 0" "$(job "$id" | jq -r .doing)" "what it is at"
hindsight jobs show "$id" | grep -q 'checking ext4' || fail "jobs show does not say what it is at"
hindsight jobs cancel "$id" 2>/dev/null
await_job "$id" cancelled
nothing_stays
assert_equal '' "$(tools_running)" "the tool"
id=$(begin)
for ((i = 0; i < 2400; i++)); do
  [ -n "$(tools_running)" ] && break
  sleep 0.05
done
kill_daemon
nothing_stays
assert_equal '' "$(tools_running)" "the tool of a daemon that was killed"
start

say "the volume and its history have noticed nothing of all that"
assert_equal '[]' "$(hindsight diff shop --from "lsn:$before" --to now --json 2>/dev/null | jq -c .extents)" "what was written to the volume"
copy_live shop "$work/live.after"
assert_same_bytes "$work/live.before" "$work/live.after" "the live volume"

say "where nobody listens it says what to do"
kill "$checks_pid"
rm -f "$HINDSIGHTD_CHECK_SOCKET"
refused 1 'systemctl enable --now hindsight-check.socket' "$bin/hindsight" check shop --at now
assert_equal 503 "$(curl -s -o "$work/problem" -w '%{http_code}' --unix-socket "$state/control.sock" --json '{"at": "now"}' http://localhost/api/volumes/shop/checks)" \
  "status where nobody listens"
python3 - "$HINDSIGHTD_CHECK_SOCKET" <<'PY' # a file that nobody listens on any more
import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])
PY
refused 1 'Connection refused' "$bin/hindsight" check shop --at now
stop
HINDSIGHTD_CHECK_SOCKET='' start
refused 1 'check.socket names no socket' "$bin/hindsight" check shop --at now
refused 2 'no time' "$bin/hindsightd" --check-config --config <(printf '[check]\ntime_limit = "30 fortnights"\n')
refused 2 'not between' "$bin/hindsightd" --check-config --config <(printf '[check]\ntime_limit = "0s"\n')
stop
