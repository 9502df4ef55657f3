# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Starts and stops one hindsightd in the work directory of work_dir.sh, and attaches its volumes as
# block devices. `bin` is the directory of the programs; `vault` and `state` are set by
# appliance_paths and may be changed before the start.

appliance_paths() {
  vault=$work/vault
  state=$work/state
  daemon_log=$work/hindsightd.log
  nbd_socket=$state/nbd.sock
  export HINDSIGHT_SERVER=unix:$state/control.sock
}

hindsight() { "$bin/hindsight" "$@"; }

nbd_uri() { echo "nbd+unix:///$1?socket=$nbd_socket"; }

# appliance_start [OPTION...]: returns when the daemon answers; 1 when it ended or stays silent.
appliance_start() {
  local i answer
  : >>"$daemon_log"
  # The script's own standard input and output stay its own.
  "$bin/hindsightd" --vault "$vault" --state "$state" "$@" >>"$daemon_log" 2>&1 </dev/null &
  daemon_pid=$!
  remember_process servers "$daemon_pid"
  for ((i = 0; i < 600; i++)); do
    answer=0
    hindsight status >/dev/null 2>&1 || answer=$?
    # 3: it runs, and has an alert to tell.
    if [ "$answer" = 0 ] || [ "$answer" = 3 ]; then return 0; fi
    kill -0 "$daemon_pid" 2>/dev/null || break
    sleep 0.05
  done
  return 1
}

# appliance_stop [SIGNAL]: sets `daemon_status`.
appliance_stop() {
  kill "-${1:-TERM}" "$daemon_pid" 2>/dev/null || true
  daemon_status=0
  wait "$daemon_pid" 2>/dev/null || daemon_status=$?
}

# The path of a kernel nbd device that is free, or nothing where the kernel has none.
free_kernel_nbd() {
  [ -e /sys/module/nbd ] || modprobe nbd >/dev/null 2>&1 || return 0
  command -v nbd-client >/dev/null || return 0
  local device
  for device in /sys/block/nbd*; do
    [ -e "$device" ] && [ ! -e "$device/pid" ] && [ -b "/dev/${device##*/}" ] || continue
    echo "/dev/${device##*/}"
    return 0
  done
}

# attach_volume NAME: sets `device` and `attached_by`.
attach_volume() {
  device=$(free_kernel_nbd)
  if [ -n "$device" ]; then
    nbd-client -unix "$nbd_socket" "$device" -N "$1" -b 4096 >"$work/nbd-client.log" 2>&1 </dev/null
    echo "$device $(cat "/sys/block/${device##*/}/pid")" >"$work/.run/nbd"
    attached_by="kernel nbd"
    return 0
  fi
  attach_by_fuse "$(nbd_uri "$1")"
}

# attach_by_fuse URI: the same, of any NBD server, without the kernel's client; and `fuse_pid`.
attach_by_fuse() {
  mkdir -p "$work/attached"
  nbdfuse -P "$work/nbdfuse.pid" "$work/attached/disk" "$1" >"$work/nbdfuse.log" 2>&1 </dev/null &
  fuse_pid=$!
  remember_process servers "$fuse_pid"
  local i
  for ((i = 0; i < 200; i++)); do
    if [ -s "$work/nbdfuse.pid" ]; then break; fi
    kill -0 "$fuse_pid" 2>/dev/null || break
    sleep 0.05
  done
  [ -s "$work/nbdfuse.pid" ] || { cat "$work/nbdfuse.log" >&2; return 1; }
  device=$(attach_file "$work/attached/disk")
  attached_by="nbdfuse and a loop device"
}

# attach_file FILE: prints the loop device. Direct I/O where the file system below can.
attach_file() {
  losetup --direct-io=on -f --show "$1" 2>/dev/null || losetup -f --show "$1"
}

detach_volume() {
  case $device in
    /dev/nbd*)
      nbd-client -d "$device" >/dev/null 2>&1 </dev/null || true
      : >"$work/.run/nbd"
      ;;
    *)
      losetup -d "$device"
      unmount "$work/attached"
      wait_gone "$fuse_pid" 10 || kill -TERM "$fuse_pid" 2>/dev/null || true
      rm -f "$work/nbdfuse.pid"
      ;;
  esac
}
