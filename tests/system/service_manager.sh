#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a service manager is told: ready when clients can connect, reloading and ready again around
# SIGHUP, that the loop turns as often as its watchdog wants and not while it does not, stopping.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3 jq

# Everything that is told, a line each.
cat >"$work/manager.py" <<'PY'
import os, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
print("listening", flush=True)
while True:
    for line in listener.recv(65536).decode().splitlines():
        print(line, flush=True)
PY
told=$work/told
python3 "$work/manager.py" "$work/notify.sock" >"$told" 2>&1 </dev/null &
remember_process servers "$!"

# heard PATTERN TIMES: waits until so many lines have matched.
heard() {
  local i
  for ((i = 0; i < 200; i++)); do
    [ "$(grep -cE "$1" "$told")" -ge "$2" ] && return 0
    sleep 0.05
  done
  fail "the service manager was not told $1 ($2 times): $(cat "$told")"
}

heard '^listening$' 1
say "ready, once its sockets are there"
NOTIFY_SOCKET=$work/notify.sock WATCHDOG_USEC=400000 start
heard '^READY=1$' 1
heard '^STATUS=Serving 0 volumes; control socket ' 1

say "the watchdog, twice in its time; not while nothing turns"
heard '^WATCHDOG=1$' 3
kill -STOP "$daemon_pid"
sleep 0.3
before=$(grep -c '^WATCHDOG=1$' "$told")
sleep 1
after=$(grep -c '^WATCHDOG=1$' "$told")
kill -CONT "$daemon_pid"
assert_equal "$before" "$after" "notes of a daemon that was stopped"
heard '^WATCHDOG=1$' $((after + 3))

say "reloading, and ready again"
kill -HUP "$daemon_pid"
heard '^RELOADING=1$' 1
heard '^READY=1$' 2

say "stopping"
stop
heard '^STOPPING=1$' 1
order=$(grep -E '^(READY|RELOADING|STOPPING)=1$' "$told" | tr '\n' ' ')
assert_equal "READY=1 RELOADING=1 READY=1 STOPPING=1 " "$order" "order of what was told"

say "without a manager, and with one that is gone"
start
stop
NOTIFY_SOCKET=$work/nobody.sock WATCHDOG_USEC=100000 start
sleep 0.3
create v 1M
stop
