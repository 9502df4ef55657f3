# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Bare Debian 12 systems, as their installer leaves them: Debian's own base with systemd as process 1,
# and a user alice who may use sudo. Each is a throwaway copy, in namespaces of its own below this
# kernel; all of them have one loopback network together, and no other. Sourced after lib.sh.
#
#   bare_needs                    skips where no such system can be
#   machine_start NAME            boots one; its files are in $work/machines/NAME/root
#   on_machine NAME COMMAND...    runs a command there, as root
#   on_network_of_ours NAME COMMAND...   the same, with this machine's network: it reaches the packages
#   machine_stop NAME             switches it off, as a power cut does
#   machines_end                  all of them; what a test's exit must call before on_exit
#
# The base is made once, from the mirror that this machine's apt uses, and kept in build/bare.
bare=$tests/../../build/bare
bare_release=bookworm
declare -A machine_init=() # the process that is process 1 there
network_pid=

bare_needs() {
  needs_root "boot a bare system"
  needs debootstrap unshare nsenter flock
  mkdir "$work/cgroup"
  mount -t cgroup2 none "$work/cgroup" 2>/dev/null ||
    skip "this system mounts no control groups, so that no other can boot on it"
  mkdir "$work/cgroup/hindsight-test.$$" 2>/dev/null || skip "no control group can be made here"
  unshare --net --mount --pid --cgroup --uts --ipc --propagation unchanged --fork true 2>/dev/null ||
    skip "this system gives no namespaces, so that no other can boot on it"
  bare_make
}

# Debian's own sources as this machine's apt has them, and how it gets there.
bare_sources() {
  apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v release="$bare_release" '$2 ~ "^" release "(-updates|-security)?$" && $3 == "main" && !seen[$0]++ { print "deb", $0 }'
}
bare_apt_settings() {
  apt-config dump | grep -E '^Acquire::https?::' || true
  echo 'APT::Get::Assume-Yes "true";' # who is asked, agrees
  echo 'Binary::apt::APT::Keep-Downloaded-Packages "true";'
}

bare_make() {
  local mirror new=$bare/root.new
  mkdir -p "$bare/archives/partial"
  exec 7>"$bare/lock"
  flock 7
  if [ ! -e "$bare/root" ]; then
    say "making the bare system, once: build/bare"
    mirror=$(bare_sources | awk -v release="$bare_release" '$3 == release { print $2; exit }')
    [ -n "$mirror" ] || fail "this machine's apt has no source of Debian's $bare_release"
    rm -rf --one-file-system "$new"
    debootstrap --variant=minbase --include=ca-certificates,sudo,systemd-sysv "$bare_release" "$new" "$mirror" \
      >"$bare/log" 2>&1 </dev/null || fail "debootstrap: $(tail -n 3 "$bare/log"); the whole log is $bare/log"
    bare_sources >"$new/etc/apt/sources.list"
    bare_apt_settings >"$new/etc/apt/apt.conf.d/90bare-system"
    if ls /usr/local/share/ca-certificates/* >/dev/null 2>&1; then
      cp -r /usr/local/share/ca-certificates "$new/usr/local/share/"
      chroot "$new" update-ca-certificates >>"$bare/log" 2>&1
    fi
    chroot "$new" useradd --create-home --shell /bin/bash alice
    echo 'alice ALL=(ALL:ALL) NOPASSWD: ALL' >"$new/etc/sudoers.d/alice"
    # The consoles and devices are those of this machine.
    for unit in getty.target console-getty.service systemd-tmpfiles-setup-dev.service; do
      ln -s /dev/null "$new/etc/systemd/system/$unit"
    done
    mv "$new" "$bare/root"
  fi
  cp /etc/resolv.conf "$bare/root/etc/resolv.conf"
  if [ -z "$(find "$bare/updated" -mmin -720 2>/dev/null)" ]; then
    if chroot "$bare/root" apt-get -q update >"$bare/log" 2>&1 </dev/null; then
      touch "$bare/updated"
    else
      say "(no news of Debian's packages: $(tail -n 1 "$bare/log"))"
    fi
  fi
  exec 7>&-
}

machine_start() { # NAME
  local name=$1 root=$work/machines/$1/root cgroup=$work/cgroup/hindsight-test.$$/$1 i pid
  mkdir -p "$work/machines/$name"/{root,upper,work} "$cgroup"
  if ! mount -t overlay none -o "lowerdir=$bare/root,upperdir=$work/machines/$name/upper,workdir=$work/machines/$name/work" "$root" 2>/dev/null; then
    mount --bind "$root" "$root" || skip "this system binds no directory to another"
    cp -a "$bare/root/." "$root"
  fi
  echo "$name" >"$root/etc/hostname"
  { printf '127.0.0.1 localhost vault.example db1 %s\n' "$name"; cat /etc/hosts; } >"$root/etc/hosts"
  mkdir -p "$root/var/cache/apt/archives"
  if [ -z "$network_pid" ]; then
    unshare --net sleep infinity &
    network_pid=$!
    remember_process servers "$network_pid"
    for ((i = 0; i < 100; i++)); do # until it has a network of its own
      [ "$(readlink "/proc/$network_pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] && break
      sleep 0.05
    done
  fi
  (
    echo "$BASHPID" >"$cgroup/cgroup.procs"
    # shellcheck disable=SC2016  # its own arguments
    exec nsenter --net="/proc/$network_pid/ns/net" \
      unshare --mount --pid --cgroup --uts --ipc --propagation unchanged --fork --kill-child bash -c '
        set -e
        mount --make-rprivate "$1"
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        mount -t sysfs sysfs "$1/sys"
        mount -t cgroup2 none "$1/sys/fs/cgroup"
        mount -t tmpfs none "$1/run"
        mount --bind "$2" "$1/var/cache/apt/archives"
        mount --make-rprivate "$1"
        PATH=/usr/sbin:/usr/bin:/sbin:/bin
        # Within a chroot the kernel makes no user namespace: its root is to be the real one, where it can be.
        cd "$1"
        if pivot_root . . 2>/dev/null; then umount -l . && set --; else set -- chroot "$1"; fi
        exec env -i PATH="$PATH" container=test "$@" /lib/systemd/systemd --show-status=0
      ' bash "$root" "$bare/archives"
  ) >"$work/machines/$name/boot.log" 2>&1 </dev/null &
  pid=$!
  remember_process servers "$pid"
  for ((i = 0; i < 600; i++)); do
    kill -0 "$pid" 2>/dev/null || fail "$name does not boot: $(tail -n 5 "$work/machines/$name/boot.log")"
    machine_init[$name]=$(tr -d ' ' <"/proc/$pid/task/$pid/children" 2>/dev/null) || true
    if [ "$(cat "/proc/${machine_init[$name]:-0}/comm" 2>/dev/null)" = systemd ]; then
      case $(on_machine "$name" systemctl is-system-running 2>/dev/null) in running | degraded) return 0 ;; esac
    fi
    sleep 0.1
  done
  fail "$name does not boot: $(on_machine "$name" systemctl list-jobs 2>&1)"
}

in_machine() { # NAME NAMESPACES COMMAND...
  local init=${machine_init[$1]} namespaces=$2
  shift 2
  # shellcheck disable=SC2086  # words
  nsenter --target "$init" --mount --uts --ipc --pid --cgroup $namespaces --root --wd /usr/bin/env -i \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb "$@"
}
on_machine() { in_machine "$1" --net "${@:2}"; }
on_network_of_ours() { in_machine "$1" "" "${@:2}"; }

# Process 1 takes with it all that there is.
machine_stop() { # NAME
  local init=${machine_init[$1]:-}
  [ -n "$init" ] || return 0
  kill -KILL "$init" 2>/dev/null || true
  wait_gone "$init" 10 || true
  machine_init[$1]=
  unmount "$work/machines/$1/root"
}

machines_end() {
  local name
  for name in "${!machine_init[@]}"; do machine_stop "$name"; done
  [ -z "$network_pid" ] || kill "$network_pid" 2>/dev/null || true
  find "$work/cgroup/hindsight-test.$$" -depth -type d -exec rmdir {} + 2>/dev/null || true
}
