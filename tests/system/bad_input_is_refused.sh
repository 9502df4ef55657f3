#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bad input and broken surroundings: each is refused with a clear sentence and an exit code that is
# not 0 (2 for wrong usage), nothing is lost and nothing half-made. The sentences are printed.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs nbdinfo nbdcopy jq

nothing_made() {
  [ ! -e "$1" ] || { complain "a refused command left $1"; chattr -R -f -i "$1" || true; rm -rf "$1"; }
}

start
create disk 32M
dd if=/dev/urandom of="$work/content" bs=1M count=32 status=none
nbdcopy --flush "$work/content" "$(nbd_uri disk)"
hindsight mark disk whole >/dev/null

say "wrong usage"
refused 2 '' "$bin/hindsight" volume
refused 2 'frobnicate' "$bin/hindsight" frobnicate
refused 2 '' "$bin/hindsight" restore disk
refused 2 '' "$bin/hindsight" volume create
refused '1|2' 'vault' "$bin/hindsight" --vault "$vault" volume create other --size 1M
refused 2 '' "$bin/hindsightd" --frobnicate
refused 2 '' "$bin/hindsightd" --nbd carrier-pigeon:1 --vault "$work/v" --state "$work/s"
nothing_made "$work/v"
refused '1|2' 'loopback|insecure|tls' "$bin/hindsightd" --nbd tcp:0.0.0.0:10809 --vault "$work/v" --state "$work/s"
nothing_made "$work/v"

say "no daemon there"
refused 1 "$work/nowhere" "$bin/hindsight" --server "unix:$work/nowhere.sock" status
refused 1 "$work/nowhere" "$bin/hindsight" --vault "$work/nowhere" volume list
nothing_made "$work/nowhere"

say "sizes and names"
refused '1|2' 'size|0' "$bin/hindsight" volume create zero --size 0
refused '1|2' 'size|negative|-5' "$bin/hindsight" volume create zero --size=-5
refused '1|2' 'size|many' "$bin/hindsight" volume create zero --size many
refused '1|2' 'size|large|limit|more|range' "$bin/hindsight" volume create zero --size 9999999T
refused 1 'disk' "$bin/hindsight" volume create disk --size 1M
refused '1|2' 'name' "$bin/hindsight" volume create '' --size 1M
refused '1|2' 'name' "$bin/hindsight" volume create 'a/b' --size 1M
refused '1|2' 'name' "$bin/hindsight" volume create 'a@b' --size 1M
refused '1|2' 'name' "$bin/hindsight" volume create "$(printf 'x%.0s' {1..5000})" --size 1M
refused 1 'nowhere' "$bin/hindsight" volume show nowhere
refused 1 'nowhere' "$bin/hindsight" volume remove nowhere
assert_equal disk "$(hindsight volume list --json | jq -r '[.. | objects | .name? // empty] | join(",")')" "volumes after all refusals"

say "an unknown export"
refused 1 'nowhere|export' nbdinfo --size "$(nbd_uri nowhere)"

say "backing stores"
refused 1 'missing|no such|exist' "$bin/hindsight" volume create b --size 8M --backing "$work/missing"
truncate -s 1M "$work/small"
refused 1 'small|bytes' "$bin/hindsight" volume create b --size 8M --backing "$work/small"
truncate -s 8M "$work/readonly"
chmod 444 "$work/readonly"
refused 1 'read-only|permission' "$bin/hindsight" volume create b --size 8M --backing "$work/readonly"
truncate -s 8M "$work/used"
hindsight volume create used --size 8M --backing "$work/used" >/dev/null || fail "volume create with a backing file"
refused 1 'use|belongs|held|backs' "$bin/hindsight" volume create b --size 8M --backing "$work/used"
cp "$work/content" "$work/full"
refused 1 'data|empty|zero' "$bin/hindsight" volume create b --size 8M --backing "$work/full"
assert_same_bytes "$work/content" "$work/full" "a refused backing file"
refused 1 'vault' "$bin/hindsight" volume create b --size 8M --backing "$vault/VAULT"
refused '1|2' '' "$bin/hindsight" volume create b --size 8M --backing relative/path
refused 1 'b' "$bin/hindsight" volume show b

say "points that cannot be understood or lie outside of history"
for point in 'yesteryear' '2020-13-45T00:00:00Z' 'lsn:' 'lsn:many' 'mark:' '12:99' '2020-02-30T00:00:00+00:00' ''; do
  refused '1|2' 'point|time|mark|lsn|label' "$bin/hindsight" restore disk --at "$point" --to "$work/out"
  nothing_made "$work/out"
done
for point in 1999-12-31T23:59:59Z 2199-01-01T00:00:00Z lsn:999999999999 mark:never; do
  refused 1 '' "$bin/hindsight" restore disk --at "$point" --to "$work/out"
  nothing_made "$work/out"
  refused 1 '' "$bin/hindsight" --vault "$vault" points disk --at "$point"
done
refused 1 '20[0-9][0-9]-.*20[0-9][0-9]-' "$bin/hindsight" points disk --at 1999-12-31T23:59:59Z

say "targets"
echo precious >"$work/target"
refused 1 'exist' "$bin/hindsight" restore disk --at mark:whole --to "$work/target"
assert_equal precious "$(cat "$work/target")" "an existing target without --force"
hindsight restore disk --at mark:whole --to "$work/target" --force >/dev/null 2>&1 || fail "restore --force"
assert_same_bytes "$work/content" "$work/target" "restore --force"
refused 1 '' "$bin/hindsight" restore disk --at mark:whole --to "$work/no/such/directory/out"
refused 1 'director' "$bin/hindsight" restore disk --at mark:whole --to "$work" --force
refused '1|2' 'format' "$bin/hindsight" restore disk --at mark:whole --to "$work/out" --format vhd
nothing_made "$work/out"
! compgen -G "$work/*out*.*" >"$work/leftovers" || [ "$(grep -cv 'refused\|restore\|fio' "$work/leftovers")" = 0 ] ||
  fail "a refused restore left $(cat "$work/leftovers")"

if [ "$(id -u)" = 0 ]; then
  say "devices as targets"
  truncate -s 16M "$work/smalldisk"
  loop=$(attach_file "$work/smalldisk")
  refused 1 'small' "$bin/hindsight" restore disk --at mark:whole --to "$loop" --force
  cmp -n $((16 << 20)) "$work/smalldisk" /dev/zero || fail "a refused restore wrote to the device"
  losetup -d "$loop"
  truncate -s 64M "$work/largedisk"
  mkfs.ext4 -q -F "$work/largedisk"
  loop=$(attach_file "$work/largedisk")
  mkdir "$work/mounted"
  mount "$loop" "$work/mounted"
  refused 1 'mount' "$bin/hindsight" restore disk --at mark:whole --to "$loop" --force
  unmount "$work/mounted"
  e2fsck -fn "$work/largedisk" >/dev/null 2>&1 || fail "a refused restore damaged the file system"
  refused 1 'force' "$bin/hindsight" restore disk --at mark:whole --to "$loop"
  hindsight restore disk --at mark:whole --to "$loop" --force >/dev/null 2>&1 || fail "restore to a device with --force"
  cmp -n $((32 << 20)) "$work/content" "$loop" || fail "the restored device differs"
  losetup -d "$loop"
fi

say "marks"
refused 1 'whole' "$bin/hindsight" mark disk whole
refused '1|2' 'label' "$bin/hindsight" mark disk ''

say "two daemons on one vault, and on one state"
refused 1 'vault|use|another' "$bin/hindsightd" --vault "$vault" --state "$work/state2"
refused 1 'state|use|another' "$bin/hindsightd" --vault "$work/vault2" --state "$state"
copy_live disk "$work/live"
assert_same_bytes "$work/content" "$work/live" "the volume after all of it"
rm "$work/live"
stop

say "a vault of a format version to come, a damaged identity, and one that is no vault"
cp -r "$vault" "$work/newer"
# Byte 8 of VAULT begins the format version (journal/FORMAT.md).
printf '\x63' | dd of="$work/newer/VAULT" bs=1 seek=8 conv=notrunc status=none
refused 1 'version|damaged' "$bin/hindsightd" --vault "$work/newer" --state "$work/state3"
refused 1 'version|damaged' "$bin/hindsight" --vault "$work/newer" volume list
cp -r "$vault" "$work/damaged"
truncate -s 100 "$work/damaged/VAULT"
refused 1 'VAULT|vault' "$bin/hindsightd" --vault "$work/damaged" --state "$work/state3"
mkdir "$work/strangers"
echo "a letter" >"$work/strangers/letter.txt"
refused 1 'empty|vault' "$bin/hindsightd" --vault "$work/strangers" --state "$work/state3"
assert_equal letter.txt "$(ls "$work/strangers")" "a stranger's directory"
mkdir "$work/aside"
refused '1|2' 'vault|state' "$bin/hindsightd" --vault "$work/aside" --state "$work/aside"

say "a volume whose backing file is missing or short is not served, and the others are"
rm "$work/used"
start
refused 1 'used|export' nbdinfo --size "$(nbd_uri used)"
copy_live disk "$work/live"
assert_same_bytes "$work/content" "$work/live" "the other volume"
restore used now "$work/used-restored"
assert_equal 8388608 "$(stat -c %s "$work/used-restored")" "a restore of the volume without backing"
stop
