#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SIGTERM and SIGINT under load: the daemon ends by itself within 10 s, with everything it answered
# kept, and the next start finds no crash.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs fio nbdcopy nbdsh python3

start
create disk 256M
for signal in TERM INT; do
  fio_doomed "$(nbd_uri disk)" --name=load --rw=randwrite --bsrange=4k-256k --size=64M --offset_increment=64M --numjobs=4 \
    --iodepth=32 --time_based --runtime=60
  sleep 3
  kill -0 "$doomed_pid" || fail "fio is not running: nothing would be tested"
  kill -"$signal" "$daemon_pid"
  wait_gone "$daemon_pid" 10 || fail "the daemon was still there 10 s after SIG$signal under load"
  daemon_status=0
  wait "$daemon_pid" || daemon_status=$?
  end_fio_doomed
  assert_equal 0 "$daemon_status" "exit code after SIG$signal"
  restore disk now "$work/stopped.img" --vault "$vault"
  assert_equal 0 "$restore_status" "exit code of a restore after SIG$signal (3 would tell of a crash: $(cat "$work/restore.err"))"
  start
  copy_live disk "$work/started.img"
  assert_same_bytes "$work/stopped.img" "$work/started.img" "the volume after SIG$signal and a new start"
  say "SIG$signal under load: ended with 0 in time, started again, equal"
  rm "$work"/*.img
done
stop

say "a stop with clients connected and idle, and one before any volume is used"
start
python3 - "$nbd_socket" <<'PYTHON' &
import nbd, sys, time
handle = nbd.NBD()
handle.set_export_name("disk")
handle.connect_unix(sys.argv[1])
time.sleep(60)
PYTHON
idle=$!
remember_process clients $idle
sleep 0.5
kill -TERM "$daemon_pid"
wait_gone "$daemon_pid" 10 || fail "an idle client kept the daemon from stopping"
kill $idle
start
stop

say "a stop with clients that stay in their negotiation (CVE-2024-7409, of qemu), with and without an idle one beside them"
printf '[nbd]\npsk_file = "%s"\nclients = ["guest live disk"]\n' "$work/keys.psk" >"$work/hindsight.toml"
echo "guest:00112233445566778899aabbccddeeff" >"$work/keys.psk"
wait_for_word() { # WORD FILE PID
  local i
  for ((i = 0; i < 200; i++)); do
    if grep -q "$1" "$2"; then return 0; fi
    kill -0 "$3" 2>/dev/null || break
    sleep 0.05
  done
  fail "a client is not there: $(cat "$2")"
}
for beside in nobody idle; do
  start --config "$work/hindsight.toml"
  python3 "$tests/nbd_within_negotiation.py" "$nbd_socket" >"$work/staying.out" 2>&1 &
  staying=$!
  remember_process clients $staying
  wait_for_word there "$work/staying.out" $staying
  if [ "$beside" = idle ]; then
    nbdsh -u "$(nbd_uri disk)" -c 'import time; h.pread(4096, 0); print("there", flush=True); time.sleep(60)' >"$work/idle.out" &
    idle=$!
    remember_process clients $idle
    wait_for_word there "$work/idle.out" $idle
  fi
  kill -TERM "$daemon_pid"
  wait_gone "$daemon_pid" 10 || fail "clients that negotiate kept the daemon from stopping"
  daemon_status=0
  wait "$daemon_pid" || daemon_status=$?
  assert_equal 0 "$daemon_status" "exit code after SIGTERM with clients that negotiate"
  ! grep "negotiation failed: it was not done within" "$daemon_log" || fail "the stop waited for clients that negotiate to be late"
  wait $staying || fail "of the clients: $(cat "$work/staying.out")"
  [ "$beside" = nobody ] || kill $idle
done
start
assert_live_equals_now disk
stop
