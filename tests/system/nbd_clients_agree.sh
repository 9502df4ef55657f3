#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# nbdinfo, nbdcopy, qemu-img and qemu-io read back what they wrote, by unix socket and by TCP.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs nbdinfo nbdcopy qemu-img qemu-io jq

size=$((192 * 1024 * 1024))
port=$(free_port)
start --nbd "unix:$nbd_socket" --nbd "tcp:127.0.0.1:$port"
create disk 192M
unix=$(nbd_uri disk)
tcp=nbd://127.0.0.1:$port/disk
seed=${HINDSIGHT_SEED:-$RANDOM}

say "nbdinfo: size, block sizes and abilities"
assert_equal "$size" "$(nbdinfo --size "$unix")" "size by unix socket"
assert_equal "$size" "$(nbdinfo --size "$tcp")" "size by TCP"
nbdinfo --json "$unix" >"$work/info.json"
for fact in '.protocol == "newstyle-fixed"' '.exports[0]."is_read_only" == false' '.exports[0].can_flush' \
  '.exports[0].can_fua' '.exports[0].can_trim' '.exports[0].can_zero' '.exports[0].can_fast_zero' \
  '.exports[0].can_df' '.exports[0].can_cache' '.exports[0].can_multi_conn' \
  '.exports[0].block_size_minimum == 1' '.exports[0].block_size_preferred == 4096' \
  '.exports[0].block_size_maximum == 33554432' '.exports[0].contexts == ["base:allocation"]'; do
  jq -e "$fact" "$work/info.json" >/dev/null || fail "nbdinfo says otherwise than $fact: $(cat "$work/info.json")"
done
nbdinfo --list --json "nbd+unix:///?socket=$nbd_socket" | jq -e '[.exports[]."export-name"] == ["disk"]' >/dev/null ||
  fail "nbdinfo --list does not show the one export"

say "nbdcopy there and back, both sockets, SHA-256 compared"
# Random, repeating, empty and odd-sized parts.
truncate -s $size "$work/source"
dd if=/dev/urandom of="$work/source" bs=1M count=48 conv=notrunc status=none
{ yes "the same line, again and again" || true; } | dd of="$work/source" bs=1M seek=64 count=32 iflag=fullblock conv=notrunc status=none
dd if=/dev/urandom of="$work/source" bs=1 seek=$((130 * 1048576 + 777)) count=5555 conv=notrunc status=none
digest=$(sha256sum <"$work/source")
for uri in "$unix" "$tcp"; do
  nbdcopy --flush "$work/source" "$uri"
  assert_equal "$digest" "$(nbdcopy "$uri" - | sha256sum)" "nbdcopy of $uri"
  nbdcopy --flush --allocated "$work/source" "$uri"
  assert_equal "$digest" "$(nbdcopy --connections=4 "$uri" - | sha256sum)" "nbdcopy of $uri, four connections"
done

say "nbdinfo --map adds up to the size"
assert_equal "$size" "$(nbdinfo --map --json "$unix" | jq '[.[].length] | add')" "sum of the map"

say "qemu-img convert and compare, raw and qcow2"
qemu-img compare -q -f raw -F raw "$work/source" "$unix" || fail "qemu-img compare of what nbdcopy wrote"
qemu-img convert -f raw -O qcow2 "$unix" "$work/copy.qcow2"
qemu-img compare -q -F raw "$work/copy.qcow2" "$tcp" || fail "qemu-img convert to qcow2"
qemu-io -f raw -c "write -z 0 192M" "$unix" >/dev/null
qemu-img convert -n -f qcow2 -O raw "$work/copy.qcow2" "$unix"
qemu-img compare -q -f raw -F raw "$work/source" "$unix" || fail "qemu-img convert to the volume"

say "qemu-io: 600 random writes, zeroes and discards of any alignment against a plain file (seed $seed)"
awk -v seed="$seed" -v size=$((16 * 1048576)) 'BEGIN {
  srand(seed)
  for (i = 0; i < 600; i++) {
    offset = int(rand() * size); length_ = 1 + int(rand() * (rand() < 0.2 ? 300000 : 9000))
    if (offset + length_ > size) length_ = size - offset
    kind = rand()
    if (kind < 0.6) printf "write -P %d %d %d\n", 1 + int(rand() * 255), offset, length_
    else if (kind < 0.7) printf "write -f -P %d %d %d\n", 1 + int(rand() * 255), offset, length_
    else if (kind < 0.8) printf "write -z %d %d\n", offset, length_
    else if (kind < 0.87) printf "write -z -u %d %d\n", offset, length_
    else if (kind < 0.94) printf "discard %d %d\n", int(offset / 65536) * 65536, 65536
    else printf "flush\n"
  }
}' >"$work/commands"
cp --sparse=always "$work/source" "$work/model"
qemu-io -f raw -d unmap "$unix" <"$work/commands" >"$work/qemu-io.out" 2>&1
! grep -iE 'fail|error' "$work/qemu-io.out" || fail "qemu-io reported the above"
qemu-io -f raw -d unmap "$work/model" <"$work/commands" >/dev/null
nbdcopy "$unix" "$work/after"
assert_same_bytes "$work/model" "$work/after" "after qemu-io with seed $seed"

say "the volume equals its restore, before and after a restart"
assert_live_equals_now disk
stop
start --nbd "unix:$nbd_socket" --nbd "tcp:127.0.0.1:$port"
nbdcopy "$tcp" "$work/restarted"
assert_same_bytes "$work/model" "$work/restarted" "after a restart"
assert_live_equals_now disk
stop
