# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A throwaway work directory for scripts that start processes, mount file systems and attach block
# devices below it, and that must leave nothing behind, however they end. Sourced by tools/demo and
# tests/system/lib.sh, under `set -euo pipefail`.
#
# What a run starts is written down in WORK/.run, so that a later run can clean up after one that
# was killed: processes by pid and start time (a pid alone may since be somebody else's), mounts and
# loop devices by their path below WORK, kernel nbd devices by name. Nothing else is touched.

# The 22nd field of /proc/PID/stat; the second, the program's name, may contain spaces.
process_start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# work_dir_make PARENT PREFIX: sets `work`. Readable by the database's own user.
work_dir_make() {
  mkdir -p "$1"
  work=$(mktemp -d "$1/$2.XXXXXX")
  chmod 755 "$work"
  mkdir "$work/.run"
  echo "$$ $(process_start_time $$)" >"$work/.run/owner"
  : >"$work/.run/clients"
  : >"$work/.run/servers"
  : >"$work/.run/nbd"
}

process_is() { [ -n "$2" ] && [ "$(process_start_time "$1")" = "$2" ]; }

# Whether the script that made work directory $1 still runs.
work_dir_in_use() {
  local pid started
  read -r pid started <"$1/.run/owner" 2>/dev/null && process_is "$pid" "$started"
}

# remember_process clients|servers PID: clients end before mounts are taken away, servers after.
remember_process() { echo "$2 $(process_start_time "$2")" >>"$work/.run/$1"; }

# wait_gone PID SECONDS
wait_gone() {
  local i
  for ((i = 0; i < $2 * 20; i++)); do
    # A child that ended stays a zombie until it is waited for.
    case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c 1) in '' | Z) return 0 ;; esac
    sleep 0.05
  done
  return 1
}

end_processes_of() {
  local pid started
  while read -r pid started; do
    process_is "$pid" "$started" || continue
    kill -TERM "$pid" 2>/dev/null || continue
    wait_gone "$pid" 15 || { kill -KILL "$pid" 2>/dev/null && wait_gone "$pid" 5; } || true
  done < <(tac "$1" 2>/dev/null)
}

# Mount points below directory $1, innermost first; with a second argument, FUSE ones only.
mounts_below() {
  awk -v below="$1/" -v only="${2:-}" '
    index($5, below) == 1 {
      fuse = 0
      for (i = 6; i < NF; i++) if ($i == "-" && $(i + 1) ~ /^fuse/) fuse = 1
      if ((only == "fuse") == fuse) print $5
    }' /proc/self/mountinfo | tac
}

# Not by asking the mount point itself: a FUSE one whose program is gone answers with an error.
is_mounted() { awk -v at="$1" '$5 == at { found = 1 } END { exit !found }' /proc/self/mountinfo; }

# umount may say EBUSY for a moment after a process that used the mount has ended.
unmount() {
  local i
  for ((i = 0; i < 40; i++)); do
    timeout 60 umount "$1" 2>/dev/null && return 0
    is_mounted "$1" || return 0
    sleep 0.1
  done
  umount -l "$1" 2>/dev/null || true
}

detach_loops_below() {
  local file
  for file in /sys/block/loop*/loop/backing_file; do
    [ -r "$file" ] || continue
    case $(cat "$file" 2>/dev/null) in
      "$1"/*) file=${file#/sys/block/}; losetup -d "/dev/${file%%/*}" 2>/dev/null || true ;;
    esac
  done
}

# work_dir_clean DIR [keep]: ends, unmounts and detaches all that a run left, and removes DIR.
work_dir_clean() {
  local dir=$1 mount device pid
  [ -d "$dir/.run" ] || return 0
  end_processes_of "$dir/.run/clients"
  while read -r mount; do unmount "$mount"; done < <(mounts_below "$dir")
  detach_loops_below "$dir"
  while read -r device pid; do
    # Still the connection that was made then, not a later one of somebody else's.
    [ "$(cat "/sys/block/${device##*/}/pid" 2>/dev/null)" != "$pid" ] ||
      nbd-client -d "$device" >/dev/null 2>&1 || true
  done <"$dir/.run/nbd"
  end_processes_of "$dir/.run/servers"
  while read -r mount; do umount -l "$mount" 2>/dev/null || true; done < <(mounts_below "$dir" fuse)
  if [ "${2:-}" = keep ]; then
    : >"$dir/.run/owner"
    return 0
  fi
  # A vault makes its sealed segments immutable, which is to stop exactly such an rm.
  chattr -R -f -i "$dir" 2>/dev/null || true
  rm -rf --one-file-system "$dir"
}

# work_dirs_clean_abandoned PARENT PREFIX: those whose script is gone. Prints each.
work_dirs_clean_abandoned() {
  local dir
  for dir in "$1/$2".??????; do
    [ -d "$dir/.run" ] || continue
    if work_dir_in_use "$dir"; then
      echo "in use, left alone: $dir"
    else
      work_dir_clean "$dir"
      echo "removed: $dir"
    fi
  done
}
