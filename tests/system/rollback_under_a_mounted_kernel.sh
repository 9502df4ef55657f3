#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rule 10 with a real kernel: an ext4 that is mounted, with writes in the page cache that the volume
# has not seen, cannot bring them onto the volume once it was rolled back, however it tries.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$tests/guest.sh"
needs nbdcopy mkfs.ext4 e2fsck jq
guest_needs

port=$(free_port)
start --nbd "unix:$nbd_socket" --nbd "tcp:127.0.0.1:$port"
create disk 64M
truncate -s 64M "$work/empty.img"
mkfs.ext4 -q -F -b 4096 -m 0 "$work/empty.img"
nbdcopy "$work/empty.img" "$(nbd_uri disk)"

attach="nbd-client 10.0.2.2 $port /dev/nbd0 -N disk -b 4096 >/dev/null"
write_file() { echo "dd if=/dev/urandom of=/mnt/$1 bs=1M count=$2 2>/dev/null"; }

say "a kernel mounts the volume and works on it"
guest_start
guest "$attach && mount -t ext4 /dev/nbd0 /mnt"
guest "$(write_file kept 4) && sync"
guest 'sha256sum /mnt/kept'
kept=$guest_said
hindsight mark disk good >/dev/null
copy_live disk "$work/good.img"
guest "$(write_file later 8) && sync"

say "rollback is refused while it is connected, whatever is dirty"
guest 'echo 100000 >/proc/sys/vm/dirty_expire_centisecs; echo 0 >/proc/sys/vm/dirty_writeback_centisecs'
guest "$(write_file dirty 8) && rm /mnt/kept"
guest 'grep ^Dirty: /proc/meminfo'
[ "$(tr -dc 0-9 <<<"$guest_said")" -ge 8000 ] || fail "nothing is dirty in the guest: $guest_said"
refused 1 'connected.*unmount' "$bin/hindsight" rollback disk --at mark:good --yes
guest "echo still here >/mnt/note && sync /mnt/note"

say "with --disconnect the kernel is thrown out; what it has dirty goes nowhere"
guest "$(write_file dirty 8)"
hindsight rollback disk --at mark:good --yes --disconnect >/dev/null 2>&1 || fail "rollback --disconnect"
copy_live disk "$work/is.img"
assert_same_bytes "$work/good.img" "$work/is.img" "the volume after the rollback"
# The kernel holds on to requests under way until somebody takes the device away.
guest '(dd if=/dev/urandom of=/mnt/after bs=1M count=1 conv=fsync 2>/dev/null; echo $? >/fsync) & sleep 1'
guest 'nbd-client -d /dev/nbd0 >/dev/null; wait; until [ -s /fsync ]; do sleep 0.1; done; cat /fsync'
[ "$guest_said" != 0 ] || fail "a write of the kernel that was thrown out succeeded"
guest_try 'umount /mnt'
# As a service that is restarted does.
guest "$attach"
guest 'cat /sys/block/nbd0/ro'
assert_equal 1 "$guest_said" "read-only flag of the device after the rollback"
guest_try 'mount -t ext4 -o rw /dev/nbd0 /mnt && touch /mnt/mine && sync' &&
  fail "the kernel mounts the volume for writing before it was resumed"
guest_try 'dd if=/dev/zero of=/dev/nbd0 bs=1M count=1 conv=fsync 2>/dev/null' &&
  fail "a write to the device succeeded before the volume was resumed"
copy_live disk "$work/is.img"
assert_same_bytes "$work/good.img" "$work/is.img" "the volume that the kernel came back to"
guest_try 'umount /mnt 2>/dev/null; nbd-client -d /dev/nbd0 >/dev/null 2>&1; true'

say "after volume resume the kernel mounts it again, as it was at the mark"
hindsight volume resume disk >/dev/null 2>&1 || fail "volume resume"
guest "$attach && mount -t ext4 /dev/nbd0 /mnt"
guest 'sha256sum /mnt/kept'
assert_equal "$kept" "$guest_said" "the file of the time of the mark"
guest 'ls /mnt'
[[ $guest_said != *later* && $guest_said != *dirty* && $guest_said != *note* ]] ||
  fail "files from after the mark are there: $guest_said"
guest "$(write_file new 4) && sync && sha256sum /mnt/new"
guest 'umount /mnt && nbd-client -d /dev/nbd0 >/dev/null'
guest_stop
copy_live disk "$work/is.img"
e2fsck -fn "$work/is.img" >"$work/fsck.out" 2>&1 || fail "e2fsck: $(tail -n 5 "$work/fsck.out")"
assert_live_equals_now disk
stop
