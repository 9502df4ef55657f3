#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A volume is found by the name it bore at the point, and for ever by its id; a removed volume's name
# stays its own (rule 17).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs qemu-io nbdcopy jq

digest() { rm -f "$work/image"; restore "$@"; sha256sum <"$work/image"; }
fill() { qemu-io -f raw -c "write -P $2 0 4M" -c flush "$(nbd_uri "$1")" >/dev/null || fail "qemu-io on $1"; }

start
create first 4M
fill first 1
hindsight mark first one >/dev/null
id=$(hindsight volume show first --json | jq -r .id)
[[ $id =~ ^[0-9a-f-]{36}$ ]] || fail "volume show --json gives no id: $id"
one=$(digest first mark:one "$work/image")

say "a rename: the new name serves, the old one is found at points before it"
hindsight volume rename first second >/dev/null 2>&1
assert_equal 4194304 "$(nbdinfo --size "$(nbd_uri second)")" "size under the new name"
refused 1 'first|export|not' nbdinfo --size "$(nbd_uri first)"
fill second 2
hindsight mark second two >/dev/null
two=$(digest second mark:two "$work/image")
[ "$one" != "$two" ] || fail "the two points do not differ: nothing would be tested"
assert_equal "$one" "$(digest first mark:one "$work/image")" "old name at the old point"
assert_equal "$one" "$(digest "id:$id" mark:one "$work/image")" "id at the old point"
assert_equal "$two" "$(digest "id:$id" mark:two "$work/image")" "id at the new point"
refused 1 "was named first at .*id:$id" "$bin/hindsight" restore second --at mark:one --to "$work/none"
refused '1|2' 'first' "$bin/hindsight" restore first --at mark:two --to "$work/none"
[ ! -e "$work/none" ] || fail "a refused restore left a file"

say "a resize: points before it have the old size"
hindsight volume resize second --size 8M >/dev/null 2>&1
assert_equal 8388608 "$(nbdinfo --size "$(nbd_uri second)")" "size after the resize"
fill second 3
rm -f "$work/image"
restore second now "$work/image"
assert_equal 8388608 "$(stat -c %s "$work/image")" "size of a restore now"
assert_equal "$two" "$(digest second mark:two "$work/image")" "restore at the old size"

say "removed: not served, its history readable by name and id, its name reserved"
hindsight mark second three >/dev/null
three=$(digest second mark:three "$work/image")
hindsight volume remove second >/dev/null 2>&1
refused 1 'second|export|not' nbdinfo --size "$(nbd_uri second)"
assert_equal "$three" "$(digest second mark:three "$work/image")" "removed volume by name"
assert_equal "$three" "$(digest "id:$id" mark:three "$work/image")" "removed volume by id"
refused 1 'second' "$bin/hindsight" volume create second --size 4M
hindsight volume list --json | jq -e '[.. | objects | select(.name? == "second")] | length == 0' >/dev/null ||
  fail "volume list shows the removed volume"
hindsight volume list --removed --json | jq -e '[.. | objects | select(.name? == "second")] | length == 1' >/dev/null ||
  fail "volume list --removed does not show it"

say "all of it again after a restart, from the vault alone"
stop
assert_equal "$one" "$(digest first mark:one "$work/image" --vault "$vault")" "old name from the vault"
assert_equal "$two" "$(digest "id:$id" mark:two "$work/image" --vault "$vault")" "id from the vault"
assert_equal "$three" "$(digest second mark:three "$work/image" --vault "$vault")" "removed volume from the vault"
start
refused 1 'second' "$bin/hindsight" volume create second --size 4M
create fresh 4M
stop
