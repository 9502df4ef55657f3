#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Where rot has taken a frame and the time index is made anew, nobody can tell an older block from the right one: an
# export behind it is refused, and given to who insists; commands say so. What lies before it, or was made after it, is
# as ever.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs nbdsh qemu-img jq python3
change() { nbdsh -u "$(nbd_uri "$1")" -c "$2"; }
first_byte() { nbdsh -u "$(nbd_uri "$1")" -c 'print(h.pread(1, 0).decode())'; }

start
create shop 4M
change shop 'h.pwrite(b"1" * 65536, 0); h.flush()'
hindsight mark shop before >/dev/null
change shop 'h.pwrite(b"2" * 65536, 0); h.flush()'
rotten=$(lsn_of shop now)
change shop 'h.pwrite(b"3" * 4096, 1 << 20); h.flush()'
hindsight mark shop behind >/dev/null
create later 1M
change later 'h.pwrite(b"4" * 4096, 0); h.flush()'
hindsight mark later after >/dev/null
assert_equal 2 "$(first_byte shop@mark:behind)" "the content before there is rot"
stop

say "a frame rots, and the index is lost"
chattr -R -f -i "$vault/segments" || true
python3 - "$vault/segments/0000000001.seg" "$rotten" <<'PY' || fail "no frame has LSN $rotten"
import struct, sys
lsn = int(sys.argv[2])
with open(sys.argv[1], "r+b") as segment:
    content = segment.read()
    for at in range(0, len(content), 4096):
        kind, = struct.unpack_from("<H", content, at + 48)
        first, last = struct.unpack_from("<QQ", content, at + 72)
        if content[at:at + 8] == b"HSFRAME\0" and kind == 2 and first <= lsn <= last:
            segment.seek(at + 256)
            segment.write(bytes([content[at + 256] ^ 1]))
            sys.exit(0)
sys.exit(1)
PY
rm -r "$vault/index"
start

say "behind it there is an export for who insists, and a word with every command"
refused 1 'cannot be read.*force:mark:behind' qemu-img info "$(nbd_uri shop@mark:behind)"
assert_equal 1 "$(first_byte shop@force:mark:behind)" "what history has of it"
for verb in "view shop --at mark:behind" "clone shop --at mark:behind --as shop-clone" "recover shop --at mark:behind --as shop-again"; do
  status=0
  # shellcheck disable=SC2086  # words
  hindsight $verb >"$work/out" 2>"$work/said" || status=$?
  assert_equal 3 "$status" "hindsight $verb: $(cat "$work/said")"
  grep -q 'cannot be read' "$work/said" || fail "hindsight $verb says: $(cat "$work/said")"
done
grep -q 'force:' <(hindsight view shop --at mark:behind 2>/dev/null) || fail "the address of the view is one that is refused"

say "before it, and of what was made after it, nothing is said"
assert_equal 1 "$(first_byte shop@mark:before)" "the point before it"
hindsight view shop --at mark:before >/dev/null 2>&1 || fail "a view before it: $?"
assert_equal 4 "$(first_byte later@mark:after)" "a volume that was made after it"
