#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a real kernel was promised with each flush: Debian's own kernel runs ext4 on the volume,
# through dm-log-writes, which keeps on a disk of its own what the kernel wrote and which flushes it
# was answered. Replayed up to each FLUSH and each FUA write in that log, on this side and by the
# log's format alone, the device must be a clean file system after its journal's replay, and
# Hindsight's history must have that very image, byte for byte: `hindsight restore` gives it.
#
# How a flush is found in history: the log has no LSN, and one write of the log may be several
# requests. But between two flushes few blocks change, so the points between are tried until those
# blocks are as in the replay; then the whole restore is compared. The points of successive flushes
# never go back. That alone would let history have too much: the device can be right at a point that
# Hindsight passed later than the kernel did. So after each step of the workload, with the device
# flushed and nothing under way, the step gets a mark in the log and one in Hindsight, by name; at
# these two the images must be equal without a search, and they bound the search for the flushes
# between. While several processes write at once, a flush may be answered with writes of others under
# way, which history may have before it and the log after it: then each block must be as it was
# before such a write or after it, and there is no other difference.
#
# Takes 50 s, most of it e2fsck and restores.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$tests/guest.sh"
needs python3 mkfs.ext4 e2fsck dmsetup jq
guest_needs

size_mib=16
port=$(free_port)
start --nbd "unix:$nbd_socket" --nbd "tcp:127.0.0.1:$port"
create disk ${size_mib}M
truncate -s 512M "$work/log.img"
guest_modules=(dm-mod dm-log-writes)
guest_programs=(dmsetup mke2fs)
guest_disks=("$work/log.img")

# Where the replay and the history have to be the same without a search.
step_mark() {
  guest "sync /dev/mapper/log && dmsetup message log 0 mark $1"
  mark_here "$1"
}
mark_here() {
  local lsn
  lsn=$(hindsight mark disk "$1" 2>/dev/null | grep -o 'lsn:[0-9]*') || fail "mark $1"
  echo "$1 ${lsn#lsn:}" >>"$work/marks"
}

say "the kernel makes an ext4 on dm-log-writes on the volume"
guest_start
guest "nbd-client 10.0.2.2 $port /dev/nbd0 -N disk -b 4096 >/dev/null"
# Nothing is written but by whom a step started.
guest 'echo 0 >/proc/sys/vm/dirty_writeback_centisecs; echo 2 >/sys/block/nbd0/queue/nomerges'
guest "mkdir -p /etc /run; dmsetup create log --noudevsync --table \"0 \$(cat /sys/block/nbd0/size) log-writes /dev/nbd0 /dev/vda\" && dmsetup mknodes"
guest '/usr/sbin/mke2fs -q -F -t ext4 -b 4096 -J size=4 -E lazy_itable_init=0,lazy_journal_init=0 /dev/mapper/log'
guest 'mount -t ext4 -o commit=3600 /dev/mapper/log /mnt'
step_mark mounted

cat >"$work/steps" <<'STEPS'
write() { dd if=/dev/urandom of=/mnt/$1 bs=$2 count=$3 seek=${4:-0} conv=notrunc,fsync 2>/dev/null; }
one() { write a$1 4096 3; write a$1 700 5 2; echo $1 >>/mnt/log; sync /mnt/log; mv /mnt/a$1 /mnt/b$1; sync /mnt; [ $1 -lt 4 ] || rm /mnt/b$(($1 - 3)); }
many() { for p in 1 2 3 4; do (for k in 1 2; do write p$p$k.$(($1 % 4)) 4096 $((p * k)); done; mkdir -p /mnt/d$p.$1; sync /mnt/d$p.$1) & done; wait; }
tidy() { rm -rf /mnt/d*; sync /mnt; fstrim /mnt; }
STEPS
while IFS= read -r line; do guest "echo '$line' >>/steps"; done <"$work/steps"

say "processes write and fsync, one at a time and several at once"
for ((i = 1; i <= 10; i++)); do
  guest ". /steps; one $i"
  step_mark "one-$i"
done
for ((i = 1; i <= 6; i++)); do
  guest ". /steps; many $i"
  step_mark "many-$i"
  ((i % 3)) || { guest ". /steps; tidy"; step_mark "tidy-$i"; }
done
guest 'umount /mnt && sync /dev/mapper/log && dmsetup remove --noudevsync log && nbd-client -d /dev/nbd0 >/dev/null && sync /dev/vda'
# The mark that dm-log-writes makes of itself when it is taken away.
mark_here dm-log-writes-end
guest_stop

say "each flush of the log against history"
python3 "$tests/log_writes.py" "$work/log.img" "$work/marks" "$bin/hindsight" "$nbd_socket" disk $((size_mib << 20)) "$work" ||
  fail "the log of the kernel's writes and the history differ"
assert_live_equals_now disk
stop
