#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of the daemon under PostgreSQL on ext4, again and again. After each the daemon starts by
# itself, the volume equals what the journal gives back, every mark made before is what it was, the
# file system and the database recover, and each commit that the database acknowledged is there.
# 10 kills take some 50 s.
#
# HINDSIGHT_KILL_CYCLES   how many kills this and kill_under_load.sh make together (100), one in ten here
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$tools/lib/postgres.sh"
needs_root "mount, and to run a database as another user"
needs nbdcopy python3 mkfs.ext4 e2fsck pgrep
[ -x "$pg_bin/postgres" ] || fail "no PostgreSQL 15 here; tools/setup installs it"
[ -e /dev/fuse ] || [ -n "$(free_kernel_nbd)" ] || skip "neither kernel nbd nor /dev/fuse to attach a volume with"
[ -e /dev/loop-control ] || skip "no loop devices here"

total=${HINDSIGHT_KILL_CYCLES:-100}
cycles=$((total / 10 > 0 ? total / 10 : 1))
mkdir "$work/mnt"
start
create disk 192M

mark() { # LABEL
  local lsn
  lsn=$(hindsight mark disk "$1" 2>/dev/null | grep -o 'lsn:[0-9]*') || fail "mark $1"
  python3 "$tests/mark_witness.py" remember "$nbd_socket" "disk@$lsn" "$1" "${lsn#lsn:}" "$work/marks" || fail "reading disk@$lsn"
}

attach() {
  attach_volume disk
  [[ $device == /dev/loop* ]] || skip "this test takes nbdfuse away under a loop device; here $attached_by would serve"
  # It aborts when its server dies; the shell is not to tell that each time.
  disown "$fuse_pid"
}

# After the server's death the loop device answers with errors, and the file system above it too.
tear_down() {
  local children child
  # Its own processes by their numbers: what outlives the first of them holds on to the mount.
  children=$(pgrep -P "$postgres_pid" || true)
  # shellcheck disable=SC2086
  kill -KILL "$postgres_pid" $children 2>/dev/null || true
  wait "$postgres_pid" "$ledger_pid" "$pgbench_pid" 2>/dev/null || true
  for child in $children; do wait_gone "$child" 10 || true; done
  unmount "$work/mnt"
  losetup -d "$device" 2>/dev/null || true
  unmount "$work/attached"
  kill -KILL "$fuse_pid" 2>/dev/null || true
  rm -f "$work/nbdfuse.pid"
}

say "PostgreSQL on the volume"
attach
mkfs.ext4 -q -F "$device"
mount "$device" "$work/mnt"
postgres_create "$work/mnt/pg"
cat >>"$work/mnt/pg/postgresql.conf" <<'SETTINGS'
min_wal_size = 32MB
max_wal_size = 48MB
SETTINGS
sync -f "$work/mnt"
postgres_start "$work/mnt/pg" || fail "PostgreSQL did not start"
sql postgres "CREATE DATABASE shop"
sql shop "CREATE TABLE ledger (serial bigint PRIMARY KEY, sent bigint NOT NULL)"
"$pg_bin/pgbench" -i -q -s 1 shop >"$work/pgbench-init.log" 2>&1 || fail "pgbench -i"

started=$SECONDS
kills=0 marks_compared=0
for ((cycle = 1; cycle <= cycles; cycle++)); do
  ledger_write shop "$work/ledger.$cycle" $((cycle * 1000000)) &
  ledger_pid=$!
  remember_process clients $ledger_pid
  (cd "$work" && exec "$pg_bin/pgbench" -n -c 4 -j 1 -T 600 shop) >"$work/pgbench.log" 2>&1 </dev/null &
  pgbench_pid=$!
  remember_process clients $pgbench_pid
  sleep "0.$((300 + RANDOM % 500))"
  mark "busy-$cycle"
  sleep "0.$((100 + RANDOM % 300))"
  kill_daemon
  kills=$((kills + 1))
  tear_down

  start
  assert_live_equals_now disk
  compared=$(python3 "$tests/mark_witness.py" check "$nbd_socket" disk "$work/marks" 2>&1) ||
    fail "after kill $cycle: $compared"
  marks_compared=$((marks_compared + compared))
  attach
  mount "$device" "$work/mnt" || fail "the volume does not mount after kill $cycle"
  postgres_start "$work/mnt/pg" || fail "PostgreSQL does not start after kill $cycle"
  sql shop "SELECT serial FROM ledger" | sort >"$work/rows"
  cut -d ' ' -f 1 "$work"/ledger.* | sort >"$work/acknowledged"
  lost=$(comm -13 "$work/rows" "$work/acknowledged" | wc -l)
  [ "$lost" = 0 ] || fail "after kill $cycle $lost of $(wc -l <"$work/acknowledged") acknowledged commits are gone"
done
took=$((SECONDS - started))

say "the database and the file system are whole"
"$pg_bin/pg_amcheck" -d shop --install-missing --heapallindexed >"$work/amcheck.out" 2>&1 || fail "pg_amcheck: $(tail -n 5 "$work/amcheck.out")"
postgres_stop
unmount "$work/mnt"
detach_volume
copy_live disk "$work/last.img"
e2fsck -fn "$work/last.img" >"$work/fsck.out" 2>&1 || fail "e2fsck: $(tail -n 5 "$work/fsck.out")"
stop
restored=0
while read -r label lsn digest; do
  rm -f "$work/mark.img"
  restore disk "mark:$label" "$work/mark.img" --vault "$vault"
  assert_equal "$digest  $work/mark.img" "$(sha256sum "$work/mark.img")" "the digest of mark $label at LSN $lsn"
  restored=$((restored + 1))
done <"$work/marks"
counted "$kills" "kill -9 cycles"
say "$kills kills in $took s under PostgreSQL: $(wc -l <"$work/acknowledged") acknowledged commits, all kept," \
  "$marks_compared views of marks and $restored restores of marks compared"
