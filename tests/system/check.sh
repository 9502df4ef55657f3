#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A point is checked before it is brought back: by the real tools, on what file systems look like when they
# are sound, in use and wrecked; neither the volume nor its history notices, and nothing of it stays.
# check_is_contained.sh has what a checker may do wrong.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
makes_namespaces || skip "the kernel makes no user namespace here (in a chroot it does not), which hindsight-check wants"
needs_root "mount file systems"
needs jq nbdfuse nbdcopy e2fsck mkfs.ext4 mkfs.xfs mkfs.btrfs mkfs.vfat fsck.fat mkswap sfdisk setpriv

# check NAME POINT EXIT: leaves the document in $work/check.json.
check() {
  local status=0
  "$bin/hindsight" check "$1" --at "$2" --json >"$work/check.json" 2>"$work/check.err" || status=$?
  [ "$status" = "$3" ] ||
    fail "check $1 --at $2 ended with $status, not $3: $(cat "$work/check.err" "$work/check.json" "$work/checks.log")"
}
# outcomes EXPECTED: of the file systems, in their order.
outcomes() { assert_equal "$1" "$(jq -r '[.file_systems[] | "\(.type) \(.outcome)"] | join(", ")' "$work/check.json")" "outcomes"; }
of_check() { jq -r "$1" "$work/check.json"; }
put() { nbdcopy --flush "$1" "$(nbd_uri "$2")" || fail "nbdcopy of $1"; }
mark() { hindsight mark "$1" "$2" >/dev/null || fail "mark $2"; }
# in_use IMAGE TO: a copy of it while it is mounted, with a file that is deleted and open. 1 where it cannot be mounted.
in_use() {
  local at=$work/mounted
  mkdir -p "$at"
  mount -o loop "$1" "$at" 2>"$work/mount.err" || return 1
  python3 - "$at" <<'PY'
import os, sys
deleted = open(os.path.join(sys.argv[1], "deleted"), "wb")
deleted.write(os.urandom(2 << 20))
deleted.flush()
for number in range(1000):
    with open(os.path.join(sys.argv[1], f"file {number}"), "wb") as file:
        file.write(os.urandom(500))
os.fsync(deleted.fileno())
os.unlink(os.path.join(sys.argv[1], "deleted"))
directory = os.open(sys.argv[1], os.O_RDONLY)
os.fsync(directory)
os.sync()
os.system(f"cp --sparse=always '{os.environ['IMAGE']}' '{os.environ['TO']}'")
PY
  unmount "$at"
}
wreck() { dd if=/dev/urandom of="$1" bs=4k seek="$2" count="$3" conv=notrunc status=none; }

serve_checks "$bin/hindsight-check"
start
create shop 64M

say "a volume of ext4: clean, in use, wrecked"
image=$work/ext4
truncate -s 64M "$image"
mkfs.ext4 -q -L "the shop" "$image"
mark shop empty
put "$image" shop
mark shop clean
IMAGE=$image TO=$work/ext4.used in_use "$image" || fail "ext4 is not mounted here: $(cat "$work/mount.err")"
dumpe2fs -h "$work/ext4.used" 2>/dev/null | grep -q needs_recovery || fail "it was in use, and needs no recovery"
put "$work/ext4.used" shop
mark shop used
# Its journal alone makes no sense, from its superblock (kind 4) or behind its first descriptor (kind 1) on: the rest is
# as sound as it was, and e2fsck goes on without what it cannot replay.
for kind in 4 1; do
  python3 - "$work/ext4.used" "$work/ext4.journal" "$kind" <<'PY'
import sys
used, to, kind = sys.argv[1:]
data = bytearray(open(used, "rb").read())
place = data.find(bytes.fromhex("c03b3998") + int(kind).to_bytes(4, "big")) + (1024 if kind == "1" else 0)
data[place:place + 1024] = bytes(range(256)) * 4
open(to, "wb").write(data)
PY
  put "$work/ext4.journal" shop
  mark shop "journal $kind"
done
wreck "$work/ext4.used" 1 200
put "$work/ext4.used" shop
mark shop wrecked
before=$(hindsight volume show shop --json | jq .last_lsn)
copy_live shop "$work/live.before"
check shop mark:empty 3
assert_equal 'true null 0' "$(of_check '"\(.nothing_known) \(.partition_table) \(.file_systems | length)"')" "an empty volume"
grep -q 'nothing is known' "$work/check.err" || fail "it says: $(cat "$work/check.err")"
check shop mark:clean 0
outcomes 'ext4 clean'
assert_equal 'the shop 0 67108864 e2fsck' "$(of_check '.file_systems[0] | "\(.label) \(.offset) \(.bytes) \(.tool)"')" "the file system"
assert_equal "$(hindsight points shop --at mark:clean --json | jq -c .point)" "$(of_check '.point | tojson')" "the point of the check"
check shop mark:used 0
outcomes 'ext4 recovered'
for kind in 4 1; do
  check shop "mark:journal $kind" 3
  outcomes 'ext4 damaged'
  of_check '.file_systems[0].reason' | grep -q 'journal' || fail "the journal: $(cat "$work/check.json")"
done
check shop mark:wrecked 3
outcomes 'ext4 damaged'
[ -n "$(of_check '.file_systems[0].output // empty')" ] || fail "e2fsck's own words are not there: $(cat "$work/check.json")"
grep -q 'the ext4 .* of the whole volume is damaged' "$work/check.err" || fail "it says: $(cat "$work/check.err")"
check shop mark:clean 0
status=0; hindsight check shop --at mark:used >"$work/check.out" 2>"$work/check.err" || status=$?
assert_equal 0 "$status" "exit of a check that a person reads"
grep -qE '^0 +64M +- +ext4 +the shop +recovered$' "$work/check.out" || fail "the table: $(cat "$work/check.out")"
grep -q "lsn:$(lsn_of shop mark:used) " "$work/check.out" || fail "the point: $(cat "$work/check.out")"
sed 's/^/    /' "$work/check.out"

say "neither the volume nor its history has noticed"
assert_equal "$before" "$(hindsight volume show shop --json | jq .last_lsn)" "the volume's newest change"
copy_live shop "$work/live.after"
assert_same_bytes "$work/live.before" "$work/live.after" "the live volume"
assert_equal '{"clones":[]}' "$(hindsight clone list --json)" "the clones"
assert_equal '' "$(ls "$state/checks")" "what checks leave"

say "partitions: of GPT, with a FAT that was in use, swap, and nothing; of DOS, at an odd sector"
create parts 128M
image=$work/gpt
truncate -s 128M "$image"
sfdisk -q "$image" <<'PARTS' >"$work/sfdisk.out" 2>&1 || fail "sfdisk: $(cat "$work/sfdisk.out")"
label: gpt
start=2048, size=65536, type=linux
start=67584, size=65536, type=uefi
start=133120, size=16384, type=swap
start=149504, size=16384, type=linux
PARTS
partition() { # partition IMAGE SECTOR BYTES COMMAND...: what the command makes in there
  rm -f "$work/partition"
  truncate -s "$3" "$work/partition"
  "${@:4}" "$work/partition" >/dev/null 2>&1 || fail "${*:4}"
  [ -z "${fat_in_use:-}" ] || printf '\001' | dd of="$work/partition" bs=1 seek=37 conv=notrunc status=none
  dd if="$work/partition" of="$1" bs=512 seek="$2" conv=notrunc status=none
}
partition "$image" 2048 32M mkfs.ext4 -q -L root
fat_in_use=1 partition "$image" 67584 32M mkfs.vfat -n EFI
partition "$image" 133120 8M mkswap -L swap
put "$image" parts
check parts now 3
outcomes 'ext4 clean, vfat clean, swap not_checked, unknown not_checked'
assert_equal 'gpt 1,2,3,4' "$(of_check '"\(.partition_table.type) \([.file_systems[].partition | tostring] | join(","))"')" "partitions"
assert_equal 'root EFI swap' "$(of_check '[.file_systems[].label] | "\(.[0]) \(.[1]) \(.[2])"')" "labels"
of_check '.file_systems[1].reason' | grep -q 'in use' || fail "the FAT: $(of_check '.file_systems[1] | tojson')"
grep -q 'partition 3 (swap "swap") was not checked' "$work/check.err" || fail "it says: $(cat "$work/check.err")"
wreck "$image" 8449 1
put "$image" parts
check parts now 3
outcomes 'ext4 clean, vfat damaged, swap not_checked, unknown not_checked'
rm "$image"
truncate -s 128M "$image"
sfdisk -q "$image" <<<$'label: dos\nstart=63, size=65536, type=83\n' >"$work/sfdisk.out" 2>&1 || fail "sfdisk: $(cat "$work/sfdisk.out")"
partition "$image" 63 32M mkfs.ext4 -q
put "$image" parts
check parts now 3
outcomes 'ext4 not_checked'
of_check '.file_systems[0].reason' | grep -q 'multiple of 4096' || fail "an odd start: $(of_check '.file_systems[0] | tojson')"

say "xfs: clean, with a log that only a mount replays, wrecked"
create big 320M
image=$work/xfs
truncate -s 320M "$image"
mkfs.xfs -q "$image" || fail "mkfs.xfs"
put "$image" big
check big now 0
outcomes 'xfs clean'
if IMAGE=$image TO=$work/xfs.used in_use "$image"; then
  put "$work/xfs.used" big
  check big now 3
  outcomes 'xfs needs_mount'
  grep -q 'needs a mount' "$work/check.err" || fail "it says: $(cat "$work/check.err")"
else
  say "(this kernel mounts no xfs: a log that is to be replayed is not tried)"
fi
wreck "$image" 1 400
put "$image" big
check big now 3
outcomes 'xfs damaged'

say "btrfs: clean, wrecked"
image=$work/btrfs
truncate -s 320M "$image"
mkfs.btrfs -q "$image" >/dev/null 2>&1 || fail "mkfs.btrfs"
put "$image" big
check big now 0
outcomes 'btrfs clean'
dd if=/dev/urandom of="$image" bs=1M seek=1 count=62 conv=notrunc status=none
put "$image" big
check big now 3
outcomes 'btrfs damaged'

say "what came of it survives a kill"
id=$(hindsight jobs --limit 1 --json | jq '.jobs[0].id')
hindsight jobs show "$id" --json | jq -S .check >"$work/kept.before"
kill_daemon
start
hindsight jobs show "$id" --json 2>/dev/null | jq -S .check >"$work/kept.after"
assert_same_bytes "$work/kept.before" "$work/kept.after" "what the job came to, after a kill"
jq -e '.file_systems[0].outcome == "damaged"' "$work/kept.after" >/dev/null || fail "the check: $(cat "$work/kept.after")"
hindsight jobs show "$id" 2>/dev/null | grep -q damaged || fail "jobs show lacks what the check came to"
refused 1 'needs the daemon' "$bin/hindsight" --vault "$vault" check shop --at now
refused 1 'no volume' "$bin/hindsight" check none --at now
refused '1|2' 'POINT|point|time' "$bin/hindsight" check shop --at yesteryear
stop
kill "$checks_pid"

say "as the packaged unit has it run: nobody, without a capability, under its filters"
python3 -c 'import seccomp' 2>/dev/null || fail "no python3-seccomp here; tools/setup --tests installs it"
# /dev/fuse is everybody's where udev makes it.
as_unit=$work/as_unit
if ! mknod -m 666 "$work/fuse" c 10 229 2>/dev/null || ! (: <>"$work/fuse") 2>/dev/null; then
  say "(no device node can be made in $work, so that nobody has FUSE: it is run as root, without the unit's limits)"
  as_unit=$bin/hindsight-check
fi
cat >"$work/as_unit" <<RUN
#!/bin/sh
mount --bind "$work/fuse" /dev/fuse
exec python3 "$tests/under_unit.py" "$tools/packaging/hindsight-check@.service" nobody "$bin/hindsight-check"
RUN
chmod +x "$work/as_unit"
serve_checks unshare --mount "$as_unit"
start
check shop mark:used 0
outcomes 'ext4 recovered'
check parts now 3
outcomes 'ext4 not_checked'
check big now 3
outcomes 'btrfs damaged'
stop

say "what the vault cannot give is no verdict"
start
create rotten 64M
put "$work/ext4" rotten
mark rotten put
check rotten mark:put 0
segment=$(find "$vault/segments" -name '*.seg' | sort | tail -n 1)
stop
chattr -R -f -i "$vault/segments" || true
# A byte of each page that is no frame's first: of bodies. Root writes to what is read-only.
python3 - "$segment" <<'PY' || fail "no body is in $segment"
import sys
with open(sys.argv[1], "r+b") as file:
    content = bytearray(file.read())
    pages = [at for at in range(4096, len(content), 4096) if content[at:at + 2] != b"HS" and any(content[at:at + 4096])]
    for at in pages:
        content[at + 2000] ^= 0xff
    file.seek(0)
    file.write(content)
sys.exit(not pages)
PY
start
check rotten mark:put 1
grep -q 'could not be checked: .*cannot be used' "$work/check.err" || fail "it says: $(cat "$work/check.err")"
stop
