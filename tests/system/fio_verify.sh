#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fio verifies what it wrote, by unix socket and TCP, after a restart, and in a restored image.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs fio

port=$(free_port)
listen=(--nbd "unix:$nbd_socket" --nbd "tcp:127.0.0.1:$port")
start "${listen[@]}"
create disk 512M

# Random sizes, depth 16, every byte under a checksum with its own offset and a sequence number.
workload=(--name=verify --rw=randwrite --bsrange=512-128k --bs_unaligned --size=64M --iodepth=16 --verify=crc32c
  --randseed=7 --norandommap=0 --fsync=64)

for uri in "$(nbd_uri disk)" "nbd://127.0.0.1:$port/disk"; do
  say "write and verify over ${uri%%:*}"
  fio_nbd "$uri" "${workload[@]}" || fail "fio over $uri"
done

say "mixed reads and writes of 4 KiB by four clients at once, each verifying its own part"
fio_nbd "$(nbd_uri disk)" --name=mixed --rw=randrw --bs=4k --size=32M --offset=256M --offset_increment=32M --numjobs=4 \
  --iodepth=32 --verify=crc32c --randseed=11 || fail "four fio clients"

say "verify again after a restart"
stop
start "${listen[@]}"
fio_nbd "$(nbd_uri disk)" "${workload[@]}" --verify_only || fail "verify after a restart"

say "verify a restored image"
restore disk now "$work/image"
fio "${workload[@]}" --ioengine=psync --iodepth=1 --filename="$work/image" --verify_only --verify_fatal=1 --verify_state_save=0 --allow_file_create=0 \
  >"$work/fio.out" 2>&1 || { cat "$work/fio.out" >&2; fail "fio finds the restored image wrong"; }
assert_live_equals_now disk
stop
