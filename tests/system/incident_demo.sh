#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tools/demo itself: ext4 and PostgreSQL on a protected volume, destroyed and brought back. First a
# run that is killed in the middle, of which `tools/demo --clean` must leave nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs_root "mount, and to run a database as another user"
[ -x /usr/lib/postgresql/15/bin/postgres ] || fail "no PostgreSQL 15 here; tools/setup installs it"
[ -e /dev/fuse ] || [ -n "$(free_kernel_nbd)" ] || skip "neither kernel nbd nor /dev/fuse to attach a volume with"
[ -e /dev/loop-control ] || skip "no loop devices here"

export HINDSIGHT_DEMO_DIR=$work/demo HINDSIGHT_DEMO_BIN=$bin
unset HINDSIGHT_SERVER

say "a run that is killed leaves nothing behind after --clean"
"$tools/demo" --seconds 60 >"$work/killed.out" 2>&1 </dev/null &
demo=$!
remember_process clients $demo
for ((i = 0; i < 1200; i++)); do
  if compgen -G "$work/demo/hindsight-demo.*/pgbench.log" >/dev/null; then break; fi
  kill -0 $demo 2>/dev/null || fail "the demo ended early: $(tail -n 5 "$work/killed.out")"
  sleep 0.1
done
sleep 2
kill -KILL $demo
wait $demo 2>/dev/null || true
"$tools/demo" --clean
! compgen -G "$work/demo/*" || fail "--clean left the above"
! grep "$work/demo" /proc/self/mountinfo || fail "--clean left the mounts above"
! grep -l "$work/demo" /sys/block/loop*/loop/backing_file 2>/dev/null || fail "--clean left the loop devices above"
for process in /proc/[0-9]*; do
  ! tr '\0' ' ' 2>/dev/null <"$process/cmdline" | grep "$work/demo" || fail "--clean left the process above"
done

say "the incident"
"$tools/demo" --seconds "${HINDSIGHT_SECONDS:-5}" </dev/null || fail "the demo"
! compgen -G "$work/demo/*" || fail "the demo left the above"
