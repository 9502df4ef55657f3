#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An 8 GiB volume under random writes, deep queues and large requests, and then 100 views and 400 other connections at
# once: resident memory stays below 512 MiB.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs fio python3

limit_kib=$((512 * 1024))
# Fewer descriptors than it will need, as from a login shell; it may take more.
ulimit -S -n 256
start
ulimit -S -n "$(ulimit -H -n)"
# Allocated in one piece, and each load fills what it touches: a file of a million extents can take
# minutes to remove on a file system that discards.
fallocate -l 8G "$work/backing"
hindsight volume create disk --size 8G --backing "$work/backing" >/dev/null 2>&1 || fail "volume create with 8 GiB"
resident_most_kib() { awk '/^VmHWM:/ { print $2 }' "/proc/$daemon_pid/status"; }

load() {
  local words=$1
  shift
  fio_nbd "$(nbd_uri disk)" --name=load --rw=randwrite "$@" || fail "fio: $words"
  say "$words: at most $(($(resident_most_kib) / 1024)) MiB resident so far"
  [ "$(resident_most_kib)" -lt "$limit_kib" ] || fail "resident memory reached $(resident_most_kib) KiB with $words"
}

load "1 GiB in 4 KiB random writes, depth 32" --bs=4k --iodepth=32 --offset=7G --size=1G
load "1 GiB in 4 KiB random writes of 16 clients, depth 64" --bs=4k --iodepth=64 --numjobs=16 --size=64M --offset_increment=512M
load "4 GiB in 1 MiB random writes of 8 clients, depth 32" --bs=1M --iodepth=32 --numjobs=8 --size=512M --offset_increment=1G

lsn=$(lsn_of disk now)
create other 1G
python3 - "$nbd_socket" "$lsn" <<'PY' || fail "100 views and 400 other connections cannot be open at once"
import sys
import nbd

socket, last = sys.argv[1], int(sys.argv[2])
names = [f"disk@lsn:{last - 40 * i}" for i in range(100)] + ["disk", "other"] * 200
connections = []
for name in names:
    connection = nbd.NBD()
    connection.set_export_name(name)
    connection.connect_unix(socket)
    connections.append(connection)
for connection in connections:
    connection.pread(65536, 7 << 20)
PY
most=$(resident_most_kib)
say "100 views and 400 other connections: at most $((most / 1024)) MiB resident"
[ "$most" -lt "$limit_kib" ] || fail "resident memory reached $most KiB with 500 connections"
stop
