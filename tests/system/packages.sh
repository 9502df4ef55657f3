#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Debian packages, in a copy of this system that is thrown away: they install, the appliance runs
# as its unit lets it, a vault of an older version is served after an upgrade, and neither remove nor
# purge touches what it keeps.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs_root "install packages in a throwaway copy of this system"
needs cpack dpkg-deb dpkg-shlibdeps systemd-analyze nbdcopy lsattr jq

say "made of the release build"
packages=$work/packages
"$tools/package" "$packages" >"$work/package.out" 2>&1 || fail "tools/package: $(tail -n 5 "$work/package.out")"
client=$(echo "$packages"/hindsight-client_*.deb)
appliance=$(echo "$packages"/hindsight_*.deb)
[ -f "$client" ] && [ -f "$appliance" ] || fail "no packages: $(ls "$packages")"
for package in "$client" "$appliance"; do
  dpkg-deb --field "$package" Depends | grep -q 'libc6' || fail "$package depends on no library"
done
dpkg-deb --field "$appliance" Depends | grep -q 'hindsight-client (= ' || fail "hindsight does not depend on its client"
# Some systems install no manual; both packages together are looked at as they are.
content=$work/content
mkdir "$content"
dpkg-deb --extract "$client" "$content"
dpkg-deb --extract "$appliance" "$content"
unit_file=$content/lib/systemd/system/hindsightd.service
for page in man1/hindsight.1 man8/hindsightd.8 man5/hindsight.toml.5; do
  zcat "$content/usr/share/man/$page.gz" | grep -q '^\.TH "\?hindsight' || fail "there is no page $page"
done
for unit in hindsight-check.socket hindsight-check@.service; do
  [ -s "$content/lib/systemd/system/$unit" ] || fail "there is no unit $unit"
done
[ -x "$content/usr/lib/hindsight/hindsight-check" ] || fail "there is no program that checks points"
grep -q '^ExecStart=/usr/lib/hindsight/hindsight-check$' "$content/lib/systemd/system/hindsight-check@.service" || fail "its unit starts another"
dpkg-deb --field "$appliance" Recommends | grep -q 'libnbd-bin.*e2fsprogs' || fail "hindsight does not recommend what it checks points with"
for file in bash-completion/completions/hindsight bash-completion/completions/hindsightd \
  doc/hindsight/copyright doc/hindsight-client/copyright; do
  [ -s "$content/usr/share/$file" ] || fail "there is no /usr/share/$file"
done

say "the unit is sound, and exposed less than 3.0"
systemd-analyze security --offline=true --threshold=29 "$unit_file" >"$work/security" 2>&1 ||
  fail "$(tail -n 3 "$work/security")"
sed -n 's/^.*Overall exposure level/    exposure/p' "$work/security"
systemd-analyze security --offline=true --threshold=20 "$content/lib/systemd/system/hindsight-check@.service" >"$work/security" 2>&1 ||
  fail "$(tail -n 3 "$work/security")"
sed -n 's/^.*Overall exposure level/    exposure/p' "$work/security"

# A system of its own: this one, read-only, below memory. What the appliance keeps is on a disk.
copy=$work/copy
mount_at() {  # mount_at DIRECTORY MOUNT-OPTIONS...
  mkdir -p "$1"
  mount "${@:2}" "$1" || fail "mount ${*:2}"
}
mount_at "$work/memory" -t tmpfs none
mkdir "$work/memory/upper" "$work/memory/work"
mkdir "$copy"
mount -t overlay none -o "lowerdir=/,upperdir=$work/memory/upper,workdir=$work/memory/work" "$copy" ||
  skip "this system mounts no overlay, so the packages cannot be installed aside"
for of in proc dev; do mount_at "$copy/$of" --bind "/$of"; done
mkdir "$work/kept" "$work/kept/hindsight" "$work/kept/hindsight-vault"
rm -rf "$copy/var/lib/hindsight" "$copy/var/lib/hindsight-vault"
for of in hindsight hindsight-vault; do mount_at "$copy/var/lib/$of" --bind "$work/kept/$of"; done
mkdir "$copy/packages"
cp "$client" "$appliance" "$tests/under_unit.py" "$copy/packages"
in_copy=(chroot "$copy" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8)
inside() { "${in_copy[@]}" "$@"; }
dpkg_inside() { inside dpkg "$@" >"$work/dpkg.log" 2>&1 || fail "dpkg $*: $(tail -n 5 "$work/dpkg.log")"; }

say "installed: its user, its directories, a configuration that is sound"
inside dpkg --purge hindsight hindsight-client >/dev/null 2>&1 || true
dpkg_inside --install "/packages/${client##*/}" "/packages/${appliance##*/}"
inside getent passwd hindsight | grep -q '/usr/sbin/nologin$' || fail "there is no user hindsight that cannot log in"
chown_kept() { inside chown -R hindsight:hindsight /var/lib/hindsight /var/lib/hindsight-vault; }
chown_kept  # mounted here, so the package found them
inside hindsightd --check-config >/dev/null || fail "the packaged configuration is not sound"
inside grep -q '^allowed_paths = \["/dev", "/srv", "/var/lib/hindsight"\]$' /etc/hindsight/hindsight.toml ||
  fail "the packaged configuration allows backing stores everywhere"

# As its unit has it run.
run_service() {
  local i answer
  "${in_copy[@]}" python3 /packages/under_unit.py /lib/systemd/system/hindsightd.service hindsight /usr/sbin/hindsightd \
    >>"$daemon_log" 2>&1 </dev/null &
  daemon_pid=$!
  remember_process servers "$daemon_pid"
  for ((i = 0; i < 200; i++)); do
    answer=0
    inside hindsight status >"$work/status" 2>&1 || answer=$?
    if [ "$answer" = 0 ] || [ "$answer" = 3 ]; then return 0; fi
    kill -0 "$daemon_pid" 2>/dev/null || break
    sleep 0.1
  done
  fail "the service does not answer: $(cat "$work/status")"
}
uri_inside() { echo "nbd+unix:///$1?socket=$work/kept/hindsight/nbd.sock"; }

say "run by its own user, with its own capability, under its own filter of system calls"
run_service
uid=$(inside id -u hindsight)
grep -qE "^Uid:\\s+$uid\\s+$uid\\s+$uid\\s+$uid\$" "/proc/$daemon_pid/status" || fail "it does not run as the user hindsight"
grep -qE '^Seccomp:\s+2$' "/proc/$daemon_pid/status" || fail "it runs without a filter"
grep -qE '^CapEff:\s+0000000000000200$' "/proc/$daemon_pid/status" || fail "it may do more than make files immutable"
inside hindsight volume create shop --size 64M >/dev/null 2>"$work/create.err" || fail "volume create: $(cat "$work/create.err")"
dd if=/dev/urandom of="$work/data" bs=1M count=64 status=none
nbdcopy --flush "$work/data" "$(uri_inside shop)" || fail "nbdcopy to the service"
inside hindsight mark shop before >/dev/null || fail "mark"
dd if=/dev/zero bs=1M count=64 status=none | nbdcopy --flush - "$(uri_inside shop)" || fail "nbdcopy of zeroes"
inside hindsight rollback shop --at mark:before --yes --disconnect >/dev/null 2>"$work/rollback.err" ||
  fail "rollback: $(cat "$work/rollback.err")"
inside hindsight volume resume shop >/dev/null
rm -f "$work/back"
nbdcopy "$(uri_inside shop)" "$work/back" || fail "nbdcopy from the service"
assert_same_bytes "$work/data" "$work/back" "the volume after a rollback under the unit's limits"
refused 1 'allowed_paths' "${in_copy[@]}" hindsight volume create other --size 1M --backing /etc/other
inside setpriv --reuid=nobody --regid=nogroup --clear-groups hindsight status >/dev/null 2>&1 &&
  fail "a user outside of the group hindsight may use the control socket"
inside setpriv --reuid=nobody --regid=hindsight --clear-groups hindsight status >/dev/null 2>&1 ||
  [ $? = 3 ] || fail "a member of the group hindsight may not use the control socket"
stop
if lsattr "$work/kept/hindsight-vault/segments" >"$work/attributes" 2>/dev/null; then
  grep -q -- '^....i' "$work/attributes" || fail "no sealed segment is immutable: $(cat "$work/attributes")"
fi

say "by the README: two users, and a host that has a volume by TLS"
port=$(free_port)
http_port=$(free_port)
set_in_config() {  # set_in_config SECTION KEY VALUE: in the packaged configuration
  awk -v section="[$1]" -v key="$2" -v value="$3" '
    /^\[/ { inside = $0 == section }
    inside && $0 ~ "^#?" key " = " { print key " = " value; next }
    { print }' "$copy/etc/hindsight/hindsight.toml" >"$work/config" && cat "$work/config" >"$copy/etc/hindsight/hindsight.toml"
}
inside hindsight tls init --name 127.0.0.1 >/dev/null 2>"$work/tls.err" || fail "tls init: $(cat "$work/tls.err")"
inside hindsight tls client db1 >/dev/null 2>"$work/tls.err" || fail "tls client: $(cat "$work/tls.err")"
set_in_config nbd listen "[\"unix:/var/lib/hindsight/nbd.sock\", \"tcp:127.0.0.1:$port\"]"
set_in_config nbd clients '["db1 live shop"]'
set_in_config http listen "\"127.0.0.1:$http_port\""
inside hindsightd --check-config >/dev/null || fail "the configuration of the README is not sound"
run_service
code=$(grep -oE 'with the code [2-9A-Z-]+' "$daemon_log" | tail -n 1 | cut -d ' ' -f 4)
secret="a password of somebody"
inside hindsight setup alice --code "$code" <<<"$secret" 2>/dev/null || fail "the first user"
cp -r "$work/kept/hindsight/tls/clients/db1" "$work/db1"
cp "$work/kept/hindsight/tls/ca.crt" "$work/ca.crt"
export XDG_CONFIG_HOME=$work/credentials
elsewhere() { HINDSIGHT_SERVER=https://127.0.0.1:$http_port "$bin/hindsight" "$@"; }
elsewhere login alice --ca "$work/ca.crt" <<<"$secret" 2>/dev/null || fail "the first user signs in"
elsewhere user create bob --role operator --role restorer --sees-data <<<"$secret" 2>/dev/null || fail "a second user"
elsewhere login bob <<<"$secret" 2>/dev/null || fail "the second user signs in"
elsewhere mark shop by-bob >/dev/null || fail "a mark from elsewhere"
uri="nbds://127.0.0.1:$port/shop?tls-certificates=$work/db1"
rm -f "$work/back"
nbdcopy "$uri" "$work/back" || fail "nbdcopy by TLS"
assert_same_bytes "$work/data" "$work/back" "the volume by TLS"
dd if=/dev/urandom bs=1M count=64 status=none | nbdcopy --flush - "$uri" || fail "nbdcopy to the service by TLS"
if nbdinfo "nbd://127.0.0.1:$port/shop" >/dev/null 2>&1; then fail "the volume is served in clear"; fi
elsewhere rollback shop --at mark:by-bob --disconnect --yes >/dev/null 2>"$work/rollback.err" || fail "rollback from elsewhere: $(cat "$work/rollback.err")"
elsewhere volume resume shop >/dev/null || fail "resume from elsewhere"
rm -f "$work/back"
nbdcopy "$uri" "$work/back" || fail "nbdcopy by TLS after the rollback"
assert_same_bytes "$work/data" "$work/back" "the volume by TLS after the rollback"
inside hindsight audit | grep -q 'rollBack' || fail "the audit lacks the rollback"
stop

say "upgraded: the configuration that somebody changed stays, and so does everything that is kept"
sed -i 's|^#\?verbose = .*|verbose = true|; s|^segment_size = .*|segment_size = "32M"|' "$copy/etc/hindsight/hindsight.toml"
changed=$(sha256sum <"$copy/etc/hindsight/hindsight.toml")
dpkg_inside --install "/packages/${client##*/}" "/packages/${appliance##*/}"
assert_equal "$changed" "$(sha256sum <"$copy/etc/hindsight/hindsight.toml")" "the changed configuration"
run_service
rm -f "$work/back"
nbdcopy "$(uri_inside shop)" "$work/back" || fail "nbdcopy after the upgrade"
assert_same_bytes "$work/data" "$work/back" "the volume after the upgrade"
stop
mkdir -p "$copy/golden/segments"
cp "$tests/../golden/v1/VAULT" "$copy/golden"
cp "$tests/../golden/v1/"*.seg "$copy/golden/segments"
inside hindsight --vault /golden verify --deep >"$work/verify" 2>&1 || fail "a vault of the first version: $(cat "$work/verify")"

say "removed and purged: its programs go, what it keeps stays"
kept=$(cd "$work/kept" && find . -type f | sort | xargs sha256sum)
dpkg_inside --purge hindsight hindsight-client
for gone in usr/sbin/hindsightd usr/bin/hindsight usr/lib/hindsight/hindsight-check lib/systemd/system/hindsightd.service \
  lib/systemd/system/hindsight-check.socket etc/hindsight/hindsight.toml; do
  [ ! -e "$copy/$gone" ] || fail "/$gone is left after a purge"
done
assert_equal "$kept" "$(cd "$work/kept" && find . -type f | sort | xargs sha256sum)" "what is kept, after a purge"
"$bin/hindsight" --vault "$work/kept/hindsight-vault" restore shop --at mark:before --to "$work/restored" >/dev/null 2>&1 ||
  fail "restore from the vault that the package left"
assert_same_bytes "$work/data" "$work/restored" "the restore from the vault that the package left"
