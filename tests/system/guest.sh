# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A guest with Debian's own kernel, emulated in software, for what only a real kernel does: its nbd
# driver, ext4 and their page cache. It runs from memory, and sees the loopback of this machine as
# 10.0.2.2. Sourced after lib.sh.
#
#   guest_start           builds the guest's memory disk and boots it; before it may be set:
#     guest_modules         modules beside those that it always has
#     guest_programs        programs of this machine, which are copied with their libraries
#     guest_disks           files that are /dev/vda and so on there; or what -blockdev takes, driver=...
#     guest_root            where the kernel and its modules are (build/guest, Debian 12's own 6.1)
#   guest_try COMMAND     runs a line of shell in it; its output is $guest_said, its status returned
#   guest COMMAND         the same, and must succeed
#   guest_stop            switches it off, as a power cut does
guest_root=$tests/../../build/guest
guest_modules=()
guest_programs=()
guest_disks=()

guest_needs() {
  [ "$(uname -m)" = x86_64 ] || skip "the guest's kernel is one for x86_64"
  needs qemu-system-x86_64 busybox nbd-client cpio modprobe
  guest_choose_kernel || fail "no kernel in $guest_root; tools/setup --tests fetches it"
}

guest_choose_kernel() {
  guest_kernel=$(echo "$guest_root"/boot/vmlinuz-*)
  [ -e "$guest_kernel" ]
}

# guest_copy_programs DIRECTORY PROGRAM...: each with its libraries, where it is on this machine.
guest_copy_programs() {
  local dir=$1 program file
  shift
  for program in "$@"; do
    program=$(command -v "$program")
    for file in "$program" $(ldd "$program" | grep -o '/[^ ]*'); do
      [ -e "$dir/$file" ] || cp -L --parents "$file" "$dir"
    done
  done
}

# The kernel's modules in the order in which they are to be loaded, nbd-client with its libraries,
# and an init that runs what the console tells it.
guest_memory_disk() {
  local dir=$work/guest modules module
  mkdir -p "$dir"/{bin,dev,mnt,proc,sys,modules}
  modules=$(for module in virtio_pci virtio_net virtio_blk nbd "${guest_modules[@]}"; do
    modprobe -d "$guest_root" -S "${guest_kernel##*/vmlinuz-}" --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
  for module in $modules; do cp "$module" "$dir/modules/"; done
  cp "$(command -v busybox)" "$dir/bin/"
  guest_copy_programs "$dir" nbd-client "${guest_programs[@]}"
  {
    cat <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/sbin:/usr/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
INIT
    for module in $modules; do echo "insmod /modules/${module##*/} || echo 'no ${module##*/}'"; done
    cat <<'INIT'
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
stty -echo
echo "guest: 0"
while read -r line; do
  sh -c "$line" 2>&1
  echo "guest: $?"
done
poweroff -f
INIT
  } >"$dir/init"
  chmod 755 "$dir/init"
  (cd "$dir" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/guest.initrd"
  rm -r "$dir"
}

guest_start() {
  local i disks=()
  for i in "${!guest_disks[@]}"; do
    case ${guest_disks[i]} in
      driver=*) disks+=(-blockdev "${guest_disks[i]},node-name=disk$i") ;;
      *) disks+=(-drive "file=${guest_disks[i]},format=raw,if=none,id=disk$i") ;;
    esac
    disks+=(-device "virtio-blk-pci,drive=disk$i,romfile=")
  done
  guest_memory_disk
  rm -f "$work/guest.in" "$work/guest.out"
  mkfifo "$work/guest.in" "$work/guest.out"
  qemu-system-x86_64 -accel tcg -cpu max,cx16=off -m 768 -smp 1 -nodefaults -no-reboot \
    -display none -serial stdio -kernel "$guest_kernel" -initrd "$work/guest.initrd" \
    -append "console=ttyS0 quiet loglevel=1 panic=-1 oops=panic" \
    -netdev user,id=net \
    -device virtio-net-pci,netdev=net,romfile= "${disks[@]}" \
    <"$work/guest.in" >"$work/guest.out" 2>"$work/guest.err" &
  guest_pid=$!
  remember_process clients "$guest_pid"
  exec 8>"$work/guest.in" 9<"$work/guest.out"
  guest_wait 120 || fail "the guest did not start: $guest_said $(cat "$work/guest.err")"
}

# guest_wait SECONDS: up to the end of the command that runs.
guest_wait() {
  local line
  guest_said=
  while IFS= read -r -t "$1" -u 9 line; do
    line=${line%$'\r'}
    if [[ $line =~ ^(.*)"guest: "([0-9]+)$ ]]; then
      guest_said+=${BASH_REMATCH[1]}
      guest_said=${guest_said%$'\n'}
      return "${BASH_REMATCH[2]}"
    fi
    guest_said+=$line$'\n'
  done
  fail "the guest does not answer any more: $guest_said $(cat "$work/guest.err")"
}

guest_try() {
  echo "$1" >&8
  guest_wait 180
}

guest() { guest_try "$1" || fail "in the guest, '$1' ended with $?: $guest_said"; }

guest_stop() {
  exec 8>&- 9<&-
  kill "$guest_pid" 2>/dev/null || true
  wait "$guest_pid" 2>/dev/null || true
}
