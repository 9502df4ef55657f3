#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# hindsightd itself on Debian 12's own 6.1 kernel, in a guest: a volume is made, attached by nbd.ko
# through the unix socket, written, marked, destroyed, restored and rolled back; the daemon is killed
# and starts again. The same on Debian's 6.12, where then io_uring is switched off by its sysctl: one
# clear sentence, and a failure. About 25 s for each kernel.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$tests/guest.sh"
needs mke2fs
guest_needs
: >"$daemon_log"

# The programs and the daemon's directories on an ext4 of their own: the daemon wants O_DIRECT, which
# a file system in memory does not have on these kernels.
make_disk() {
  local root=$work/root
  mkdir -p "$root"/{bin,tmp,proc,sys,dev,srv,hindsight}
  guest_copy_programs "$root" "$bin/hindsightd"
  guest_copy_programs "$root" "$bin/hindsight"
  cp "$bin/hindsightd" "$bin/hindsight" "$root/hindsight/"
  cat >"$root/steps" <<'STEPS'
h() { chroot /mnt /hindsight/hindsight --server unix:/srv/state/control.sock "$@"; }
daemon() { chroot /mnt /hindsight/hindsightd --vault /srv/vault --state /srv/state; }
pid() { cat /pid; }
up() {
  (daemon 2>>/log; echo $? >/ended) &
  for i in $(seq 200); do
    [ ! -S /mnt/srv/state/control.sock ] || ! h status >/dev/null 2>&1 || { pidof hindsightd >/pid; return; }
    sleep 0.1
  done
  tail /log
  return 1
}
down() { kill -$1 $(cat /pid); while kill -0 $(cat /pid) 2>/dev/null; do sleep 0.1; done; }
attach() { nbd-client -unix /mnt/srv/state/nbd.sock /dev/nbd0 -N disk -b 4096 >/dev/null; }
detach() { nbd-client -d /dev/nbd0 >/dev/null; sync; }
digest() { dd if=$1 bs=1M count=16 2>/dev/null | sha256sum; }
STEPS
  rm -f "$work/root.img"
  mke2fs -q -F -t ext4 -d "$root" "$work/root.img" 640M >/dev/null 2>&1
  rm -r "$root"
}

main_job() {
  guest "$in up && h volume create disk --size 16M >/dev/null && attach"
  guest "$in dd if=/dev/urandom of=/dev/nbd0 bs=1M count=16 conv=fsync 2>/dev/null && digest /dev/nbd0"
  local good=$guest_said
  guest "$in h mark disk good >/dev/null"
  say "destroyed, and the daemon killed"
  guest "$in dd if=/dev/urandom of=/dev/nbd0 bs=1M count=16 conv=fsync 2>/dev/null; dd if=/dev/zero of=/dev/nbd0 bs=1M count=5 conv=fsync 2>/dev/null; digest /dev/nbd0"
  [ "$good" != "$guest_said" ] || fail "nothing was destroyed"
  local bad=$guest_said
  guest "$in detach; down 9; up"
  say "restored and rolled back"
  # 3: done, and there was a crash.
  guest "$in h restore disk --at mark:good --to /tmp/good.img 2>/restore.err; [ \$? = 0 ] || [ \$? = 3 ]"
  guest "$in digest /mnt/tmp/good.img"
  assert_equal "$good" "$guest_said" "the restore at the mark"
  guest "$in attach && digest /dev/nbd0"
  assert_equal "$bad" "$guest_said" "the volume after the kill"
  guest "$in detach; for i in 1 2 3 4 5; do h rollback disk --at mark:good --yes >/dev/null 2>/err && break; sleep 0.5; done; attach && digest /dev/nbd0"
  assert_equal "$good" "$guest_said" "the volume after the rollback"
  guest "$in detach; down 15; cat /ended"
  [[ $guest_said =~ 0$ ]] || fail "hindsightd ended with $guest_said on SIGTERM"
}

boot() {
  make_disk
  guest_disks=("$work/root.img")
  guest_start
  guest 'mount -t ext4 /dev/vda /mnt && for d in proc sys dev; do mount -o bind /$d /mnt/$d; done'
  guest 'uname -r'
  say "hindsightd on Linux $guest_said"
  in='. /mnt/steps;'
}

boot
main_job
guest_stop

guest_root=$guest_root-6.12
guest_choose_kernel || skip "the part with io_uring switched off, as there is no kernel in $guest_root; tools/setup --tests fetches it where Debian has it"
boot
main_job
say "with io_uring switched off"
guest "$in echo 2 >/proc/sys/kernel/io_uring_disabled; daemon 2>/refusal; echo \$? >/ended; cat /ended"
[ "$guest_said" = 1 ] || fail "hindsightd without io_uring ended with $guest_said"
guest 'cat /refusal'
[ "$(wc -l <<<"$guest_said")" = 1 ] && [[ $guest_said == *"sysctl kernel.io_uring_disabled"* ]] ||
  fail "this is not one clear sentence: $guest_said"
say "$guest_said"
guest_stop
