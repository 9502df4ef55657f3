#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A newcomer gets from the Debian package to a protected volume that is attached by TLS, and to two users, by the README
# alone. What is run are the README's own commands, taken out of it, on bare systems: an appliance, the host db1, and at
# last another appliance, which has nothing but the copies that the README says to keep.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$tests/bare_system.sh"
needs python3 cpack dpkg-deb losetup mkfs.ext4

sections=("As a service" "Remote administration")

# What is not run as it stands there: WHAT, and instead of it; see `replaced` below for what is found out meanwhile.
vault_disk=
disk=
moment=
replacements() {
  printf '%s\t%s\n' \
    "/dev/loop0" "$disk" `# as losetup has printed it` \
    "/dev/disk/by-label/vault" "$vault_disk" `# nobody makes that link here; it may be a /dev/loop0` \
    '"5 minutes ago"' "$moment" `# the test does not wait for so long`
}
# What is not run: the BEGINNING of a command, and why.
skipped=(
  "tools/setup && tools/package	this test makes the packages, above"
  "sudo qemu-nbd --fork --connect=/dev/nbd0	this kernel has no nbd; nbd_over_tls.sh has QEMU as a client"
)
makes_namespaces ||
  skipped+=("hindsight check	the kernel makes no user namespace in a chroot; check.sh has it where it does")
# What is done by other means.
by_other_means=(
  "sudo scp	copied from one system to the other: neither has SSH"
)
# What is typed at a prompt: the beginning of a command, then PROMPT TEXT...
alice="a password of the first one"
bob="a password of the other one"
code=
typed() {
  case $1 in
    "sudo hindsight setup alice"*) answers=("[Cc]ode.*: " "$code" "[Pp]assword.*: " "$alice" "once more: " "$alice") ;;
    "hindsight login alice"*) answers=("[Pp]assword.*: " "$alice") ;;
    "hindsight user create bob"*) answers=("[Pp]assword.*: " "$bob" "once more: " "$bob") ;;
    "hindsight token create"*) answers=("[Pp]assword.*: " "$alice") ;;
    "hindsight login bob"*) answers=("[Pp]assword.*: " "$bob") ;;
    "hindsight rollback"*) answers=("\\? .*" "yes") ;;
    *) answers=() ;;
  esac
}

finish() {
  local status=$?
  set +e
  machines_end
  for loop in "${loops[@]}"; do losetup -d "$loop" 2>/dev/null; done
  (exit "$status")
  on_exit
}
loops=()
trap finish EXIT
bare_needs

# The indented blocks of those sections, a file each.
mkdir "$work/blocks"
awk -v into="$work/blocks" -v wanted="$(IFS='|'; echo "${sections[*]}")" '
  BEGIN { split(wanted, names, "|"); for (i in names) is_wanted["## " names[i]] = 1 }
  /^## / { inside = $0 in is_wanted; seen += inside }
  inside && /^    / { if (!open) { open = 1; file = sprintf("%s/%02d", into, ++blocks) } print substr($0, 5) >file; next }
  { open = 0 }
  END { exit seen != length(names) }
' "$tests/../../README.md" || fail "README.md has not the sections ${sections[*]}"
left() { find "$work/blocks" -type f ! -name '*.done' | sort; }
[ "$(left | wc -l)" -ge 8 ] || fail "README.md has few commands"

# commands FILE: reads a block's commands into `commands`, each whole.
read_commands() {
  local line command=
  commands=()
  while IFS= read -r line; do
    command+=${command:+$'\n'}$line
    [[ $line != *\\ ]] && bash -n <<<"$command" 2>/dev/null || continue
    commands+=("$command")
    command=
  done <"$1"
  [ -z "$command" ] || fail "the README has half a command: $command"
}

replaced() {
  local what instead
  text=$1
  while IFS=$'\t' read -r what instead; do
    [[ $text == *"$what"* ]] || continue
    [ -n "$instead" ] || fail "nothing is known yet instead of $what"
    text=${text//"$what"/"$instead"}
  done < <(replacements)
}

# types MACHINE COMMAND: alice does, in a new login; what she exports lasts.
types() {
  local machine=$1 where=on_machine answers
  typed "$2"
  [[ $2 != "sudo apt "* ]] || where=on_network_of_ours
  cat >"$work/machines/$machine/root/home/alice/command" <<COMMAND
set -e
[ ! -e ~/.exported ] || . ~/.exported
$2
export -p | grep HINDSIGHT >~/.exported || true
COMMAND
  if [ ${#answers[@]} -gt 0 ]; then
    python3 "$tests/at_terminal.py" "${answers[@]}" -- bash -c "$(declare -f in_machine on_machine); declare -A machine_init=([$machine]=${machine_init[$machine]})
      on_machine $machine runuser -l alice -c 'bash ~/command'" >"$work/said" 2>&1 </dev/null
  else
    "$where" "$machine" runuser -l alice -c 'bash ~/command' >"$work/said" 2>&1 </dev/null
  fi
}
must_type() { types "$@" || fail "on $1, '$2' ended with $?: $(cat "$work/said")"; }

copy_over() { # as scp would: FROM-MACHINE [-r] FILE TO
  local from=$1 to=${!#} file=${*: -2:1} account
  account=${to%%@*}
  to=${to#*@}
  local root=$work/machines/${to%%:*}/root path=${to#*:}
  case $path in
    /*) ;;
    *) path=/home/$account/$path ;;
  esac
  cp -r "$work/machines/$from/root$file" "$root$path"
  [ "$account" = root ] || chown -R --reference="$root/home/$account" "$root$path/${file##*/}"
}

# block MACHINE FIRST-COMMAND [FROM [UNTIL]]: runs the block that begins so, or what lies between two of its commands.
block() {
  local machine=$1 file from=${3:-} until=${4:-} command entry
  for file in "$work"/blocks/*; do
    [[ $(head -n 1 "$file") != "$2"* ]] || break
  done
  [[ $(head -n 1 "$file") == "$2"* ]] || fail "the README has no block that begins with '$2'"
  [ "${file%.done}" != "$file" ] || { mv "$file" "$file.done"; file+=.done; }
  read_commands "$file"
  for command in "${commands[@]}"; do
    if [ -n "$from" ]; then
      [[ $command == "$from"* ]] || continue
      from=
    fi
    [ -z "$until" ] || [[ $command != "$until"* ]] || return 0
    run_command "$machine" "$command"
  done
  [ -z "$from$until" ] || fail "the README has no '$from$until' in that block"
}
run_command() {
  local entry
  for entry in "${skipped[@]}"; do
    [[ $2 != "${entry%%$'\t'*}"* ]] || { echo "    ($1: not run: ${entry%%$'\t'*}: ${entry#*$'\t'})"; return; }
  done
  replaced "$2"
  echo "    $1: ${text//$'\n'/$'\n'    }"
  for entry in "${by_other_means[@]}"; do
    # shellcheck disable=SC2086  # words
    [[ $2 != "${entry%%$'\t'*}"* ]] || { copy_over "$1" ${text#"${entry%%$'\t'*}"}; return; }
  done
  # Who types has waited until it is there.
  [[ $text != "sudo losetup --find"* ]] || waits_for "$1" test -e /run/shop/disk
  must_type "$1" "$text"
  case $text in
    "sudo losetup --find"*)
      disk=$(grep -o '^/dev/loop[0-9]*' "$work/said") || fail "losetup printed no disk: $(cat "$work/said")"
      loops+=("$disk")
      ;;
    *"umount /run/shop"*) waits_for "$1" bash -c '! pidof nbdfuse' ;;
    *"journalctl -u hindsightd"*)
      code=$(grep -oE '[2-9A-Z]{5}-[2-9A-Z]{5}-[2-9A-Z]{5}' "$work/said" | tail -n 1)
      [ -n "$code" ] || fail "the daemon's log tells no code: $(cat "$work/said")"
      ;;
  esac
}
waits_for() { # MACHINE COMMAND...
  local i
  for ((i = 0; i < 200; i++)); do
    on_machine "$1" "${@:2}" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  fail "on $1, '${*:2}' does not come true: $(cat "$work/said")"
}
# A disk of its own for a machine's vault.
new_vault_disk() {
  truncate -s 4G "$work/vault-$1.img"
  mkfs.ext4 -q -L vault "$work/vault-$1.img"
  vault_disk=$(attach_file "$work/vault-$1.img")
  loops+=("$vault_disk")
}
file_on() { "${@:2}" sha256sum <"$work/machines/$1/root/mnt/orders"; }
digest_on_db1() { on_machine db1 sha256sum /mnt/orders 2>&1 | cut -d ' ' -f 1; }
packages_for() { # MACHINE DIRECTORY
  local to=$work/machines/$1/root/home/alice/build/packages
  rm -rf "${to%/packages}"
  mkdir -p "$to"
  cp "$2"/*.deb "$to"
  chown -R --reference="${to%/build/packages}" "${to%/packages}"
}
service() { on_machine "$1" systemctl show --property "$2" --value hindsightd; }

say "packages of this build, and of a version before it"
for version in "" 0.0.1; do
  "$tools/package" "$work/packages$version" ${version:+"$version"} >"$work/package.out" 2>&1 ||
    fail "tools/package: $(tail -n 5 "$work/package.out")"
done
release=$(dpkg-deb --field "$work"/packages/hindsight_*.deb Version)
dpkg --compare-versions "$(dpkg-deb --field "$work"/packages0.0.1/hindsight_*.deb Version)" lt "$release" ||
  fail "0.0.1 is not before $release"

say "the appliance, from the package on"
machine_start appliance
new_vault_disk appliance
packages_for appliance "$work/packages0.0.1"
block appliance "tools/setup"
assert_equal active "$(service appliance ActiveState)" "state of the service"
must_type appliance "hindsight status"

say "two users, and certificates"
machine_start db1
block appliance "sudo hindsight tls init"
block appliance "sudo journalctl"
cp "$work"/packages0.0.1/hindsight-client_*.deb "$work/machines/db1/root/home/alice/"
block db1 "sudo apt install ./hindsight-client"
must_type db1 "! hindsight status"

say "the volume as a disk of db1, with a file on it"
block db1 "sudo mkdir -p /run/shop"
on_machine db1 dd if=/dev/urandom of=/mnt/orders bs=1M count=24 status=none
on_machine db1 sync
digest=$(digest_on_db1)
block db1 "sudo qemu-nbd"
sleep 1.1
moment="$(date -u +%Y-%m-%dT%H:%M:%SZ)"
sleep 1.1

say "that moment is checked, before anybody needs it"
# Everybody's, as udev makes it, which a bare system has not.
on_machine appliance sh -c 'mknod -m 666 /var/fuse c 10 229 && mount --bind /var/fuse /dev/fuse'
block appliance "sudo apt install libnbd-bin"
! makes_namespaces || grep -qE 'ext4 .*(clean|recovered)' "$work/said" || fail "the check says: $(cat "$work/said")"

say "bob destroys it, and brings it back"
on_machine db1 bash -c 'rm /mnt/orders && dd if=/dev/urandom of=/mnt/noise bs=1M count=16 status=none && sync'
block db1 "sudo umount /mnt"
attach_again() { block db1 "sudo mkdir -p /run/shop" "sudo nbdfuse" "sudo mkfs.ext4"; block db1 "sudo mkdir -p /run/shop" "sudo mount"; }
detach() { block db1 "sudo umount /mnt" "sudo umount" "hindsight login"; }
attach_again
assert_equal "$digest" "$(digest_on_db1)" "the file that was destroyed, after the rollback"
assert_equal bob "$(types db1 "hindsight whoami --json" && grep -o '"user": *"[a-z]*"' "$work/said" | cut -d '"' -f 4)" "who did it"
must_type appliance "sudo hindsight audit"
grep -qE 'rollBack.*bob|bob.*rollBack' "$work/said" || fail "the audit lacks bob's rollback: $(cat "$work/said")"
detach

say "an upgrade, while the service runs"
main_pid=$(service appliance MainPID)
packages_for appliance "$work/packages"
[ "$(wc -l < <(grep -c . "$work/blocks/"*))" -gt 0 ]
block appliance "sudo apt install ./build"
assert_equal "$release" "$(on_machine appliance dpkg-query -W -f '${Version}' hindsight)" "the version that is installed"
assert_equal active "$(service appliance ActiveState)" "state of the service after the upgrade"
[ "$main_pid" != "$(service appliance MainPID)" ] || fail "the daemon of before goes on"
block appliance "sudo apt install libnbd-bin" "hindsight check"
attach_again
assert_equal "$digest" "$(digest_on_db1)" "the file after the upgrade"
detach

say "copies, while the service runs; then the packages are purged, and everything else stays"
on_machine appliance mkdir /mnt/copy
block appliance "cd / && sudo cp -au"
block appliance "sudo apt purge"
root=$work/machines/appliance/root
for gone in usr/sbin/hindsightd usr/bin/hindsight usr/lib/hindsight/hindsight-check lib/systemd/system/hindsightd.service \
  lib/systemd/system/hindsight-check.socket etc/hindsight/hindsight.toml; do
  [ ! -e "$root/$gone" ] || fail "/$gone is left after a purge"
done
if on_machine appliance pidof hindsightd >/dev/null; then fail "the daemon outlived its package"; fi
on_machine appliance test -e /var/lib/hindsight-vault/VAULT || fail "the vault is gone"
for kept in var/lib/hindsight/tls/ca.key etc/hindsight/hindsight.toml.d/network.toml; do
  [ -e "$root/$kept" ] || fail "/$kept is gone"
done
cp -a "$root/mnt/copy" "$work/copy"
machine_stop appliance

say "a new machine, from the copies"
machine_start another
cp -a "$work/copy" "$work/machines/another/root/mnt/copy"
new_vault_disk another
packages_for another "$work/packages"
block another "tools/setup" "sudo apt" "sudo systemctl"
block another "sudo cp -a /mnt/copy"
must_type another "sudo hindsight status"
must_type another "sudo hindsight verify --deep"
attach_again
assert_equal "$digest" "$(digest_on_db1)" "the file on the new machine, by the certificate of before"
must_type db1 "hindsight mark shop by-bob"
must_type another "sudo hindsight audit"
grep -qE 'rollBack.*bob|bob.*rollBack' "$work/said" || fail "the audit was not brought along: $(cat "$work/said")"
detach

[ -z "$(left)" ] || fail "commands of the README that this test does not run: $(left | xargs cat)"
