#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes a golden vault of what an appliance records beside blocks: users, a token, the audit, activity, a rollback, a
# recovered volume, a renamed and a removed one, a kill. Run once for a format version; what is released is never
# made again:
#
#   tests/golden/make_appliance.sh DIRECTORY
#
# DIRECTORY gets vault.tar.zst, and as *.json and *.sha256 what the programs of that day said of it.
target=$(realpath "$1")
. "$(dirname "${BASH_SOURCE[0]}")/../system/lib.sh"
needs nbdcopy nbdsh jq zstd

# 3: done, and there is something to know.
tells() { "$@" 2>/dev/null || [ $? = 3 ]; }
change() { nbdsh -u "$(nbd_uri "$1")" -c "$2"; }

export HINDSIGHTD_JOURNAL_SEGMENT_SIZE=20M
start
create shop 8M
create log 4M
change shop '
import random
random.seed(1)
for i in range(64): h.pwrite(random.randbytes(4096) if i % 3 else bytes([i]) * 4096, i * 65536)
h.flush()'
hindsight mark shop whole >/dev/null
change log 'h.pwrite(b"l" * 65536, 0); h.flush()'
sleep 2
change shop 'h.trim(4 << 20, 0); h.zero(1 << 20, 4 << 20); h.flush()'
hindsight mark --all destroyed >/dev/null
sleep 2
kill_daemon
start
hindsight recover shop --at mark:whole --as shop-again >/dev/null 2>&1 || [ $? = 3 ]
hindsight rollback shop --at mark:whole --yes >/dev/null 2>&1 || [ $? = 3 ]
hindsight volume rename log journal >/dev/null
create gone 1M
hindsight volume remove gone >/dev/null
stop
port=$(free_port)
start --http "127.0.0.1:$port"
code=$(grep -oE 'with the code [2-9A-Z-]+' "$daemon_log" | tail -n 1 | cut -d ' ' -f 4)
password="the password of a golden vault"
hindsight setup alice --code "$code" <<<"$password" >/dev/null 2>&1
export XDG_CONFIG_HOME=$work/credentials
as_user() { HINDSIGHT_SERVER=http://127.0.0.1:$port "$bin/hindsight" "$@"; }
as_user login alice <<<"$password" >/dev/null 2>&1
as_user user create bob --role operator --role restorer --sees-data <<<"$password" >/dev/null 2>&1
as_user token create nightly-report --role viewer --days 90 <<<"$password" >/dev/null 2>&1
as_user login bob <<<"$password" >/dev/null 2>&1
as_user mark shop by-bob >/dev/null
sleep 16 # the sums of the last minute may wait for so long
stop

start
mkdir -p "$target"
tells hindsight volume list --removed --json | jq -S '[.volumes[] | {id, name, size_bytes, created, removed}]' >"$target/volumes.json"
tells hindsight points shop --json | jq -S '{first, marks}' >"$target/points.json"
tells hindsight timeline shop --since first --until mark:by-bob --step 1s --json | jq -S '{steps, events}' >"$target/timeline.json"
tells hindsight audit --json | jq -S '[.audit[] | {lsn, time_utc, actor, act, detail, status}]' >"$target/audit.json"
stop
for point in mark:whole mark:destroyed now; do
  tells "$bin/hindsight" --vault "$vault" restore shop --at "$point" --to - | sha256sum | cut -d ' ' -f 1
done >"$target/shop.sha256"
chattr -f -i "$vault"/segments/* || true
tar --create --zstd --sparse --owner=0 --group=0 --sort=name --file "$target/vault.tar.zst" -C "$vault" VAULT segments
ls -l "$target"
