#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is restarted, as an upgrade does, under an ext4 that a real kernel has mounted and is busy
# on: its client connects again, and the kernel sees no I/O error and finds every byte.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$tests/guest.sh"
needs nbdcopy mkfs.ext4 e2fsck
guest_needs

restarts=3
start
create disk 128M
truncate -s 128M "$work/empty.img"
mkfs.ext4 -q -F -b 4096 -m 0 "$work/empty.img"
nbdcopy --flush "$work/empty.img" "$(nbd_uri disk)"

say "a kernel mounts the volume and works on it"
guest_modules=(ext4)
guest_disks=("driver=nbd,server.type=unix,server.path=$nbd_socket,export=disk,reconnect-delay=120")
guest_start
guest 'mount -t ext4 /dev/vda /mnt'
# Each file is made durable, or removed again; what each holds is noted outside of the volume.
busy='until [ -e /stop ]; do i=$((i + 1)); n=$((i % 40)); dd if=/dev/urandom of=/new bs=64k count=4 2>/dev/null;
  cp /new /mnt/f$n && sync /mnt/f$n || echo "file $i" >>/errors; sha256sum </mnt/f$n >/sum.$n;
  [ $((i % 7)) != 0 ] || rm /mnt/f$n /sum.$n; echo $i >/count.new; mv /count.new /count; done; touch /ended'
guest "(i=0; ${busy//$'\n'/ }) >/busy.out 2>&1 &"
count() { guest 'cat /count'; echo "$guest_said"; }
waits_for() {
  local i
  for ((i = 0; i < 300; i++)); do
    [ "$(count)" -ge "$1" ] && return 0
    sleep 0.2
  done
  fail "the guest does not go on after $(count) files"
}
guest 'until [ -s /count ]; do sleep 0.1; done'

say "the daemon is restarted $restarts times meanwhile"
for ((restart = 1; restart <= restarts; restart++)); do
  before=$(count)
  waits_for $((before + 10))
  stop
  # Long enough for the kernel to have requests that wait.
  sleep "$restart"
  start
  waits_for $((before + 20))
done

say "no error, and no byte that is not as it was written: $(count) files"
guest 'touch /stop; until [ -e /ended ]; do sleep 0.2; done; cat /errors /busy.out 2>/dev/null; true'
assert_equal "" "$guest_said" "what the guest's work complained of"
guest 'dmesg | grep -iE "I/O error|EXT4-fs error|Buffer I/O|critical" || true'
assert_equal "" "$guest_said" "what the guest's kernel complained of"
guest 'umount /mnt && mount -t ext4 /dev/vda /mnt'
guest 'for f in /mnt/f*; do [ "$(sha256sum <$f)" = "$(cat /sum.${f#/mnt/f})" ] || echo "$f differs"; done; ls /mnt/f* | wc -l'
files=$guest_said
[[ $files =~ ^[0-9]+$ ]] && [ "$files" -ge 20 ] || fail "files in the guest: $files"
guest 'umount /mnt'
guest_stop
copy_live disk "$work/is.img"
e2fsck -fn "$work/is.img" >"$work/fsck.out" 2>&1 || fail "e2fsck: $(tail -n 5 "$work/fsck.out")"
assert_live_equals_now disk
stop
