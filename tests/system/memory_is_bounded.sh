#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An 8 GiB volume under random writes, deep queues and large requests: resident memory stays below 512 MiB.
# HINDSIGHT_SECONDS: how long each of the three loads writes (15).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs fio

limit_kib=$((512 * 1024))
start
create disk 8G
resident_most_kib() { awk '/^VmHWM:/ { print $2 }' "/proc/$daemon_pid/status"; }
seconds=${HINDSIGHT_SECONDS:-15}

load() {
  local words=$1
  shift
  fio_nbd "$(nbd_uri disk)" --name=load --size=8G --norandommap --time_based --runtime="$seconds" "$@" || fail "fio: $words"
  say "$words: at most $(($(resident_most_kib) / 1024)) MiB resident so far"
  [ "$(resident_most_kib)" -lt "$limit_kib" ] || fail "resident memory reached $(resident_most_kib) KiB with $words"
}

load "4 KiB random writes, depth 32" --rw=randwrite --bs=4k --iodepth=32
load "4 KiB random writes of 16 clients, depth 64" --rw=randwrite --bs=4k --iodepth=64 --numjobs=16
load "1 MiB random writes of 8 clients, depth 32" --rw=randwrite --bs=1M --iodepth=32 --numjobs=8
stop
