#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A daemon under 200,000 hostile NBD sessions, on its unix socket and over TCP, lives, forgets them
# all, says little of them in its log, and serves a client on another volume as if they were not
# there: its data is right, it gets in whenever it comes back, and it waits little. About 2 minutes.
#
# HINDSIGHT_SESSIONS   how many hostile sessions (200,000)
# HINDSIGHT_SEED       what they are made from (by the clock); printed
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs nbdcopy jq

sessions=${HINDSIGHT_SESSIONS:-200000}
seed=${HINDSIGHT_SEED:-$(date +%s)}
target_mib=16
port=$(free_port)
start --nbd "unix:$nbd_socket" --nbd "tcp:127.0.0.1:$port"
create target ${target_mib}M
create bystander 16M
dd if=/dev/urandom bs=1M count=$target_mib status=none | nbdcopy --flush - "$(nbd_uri target)"
hindsight mark target before >/dev/null
lsn=$(lsn_of target mark:before)
copy_live target "$work/before.img"

resident_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/$daemon_pid/status"; }
# What the daemon has open, a line for each, but for the time index's runs, of which there are more as
# history grows: each may be open once.
descriptors() {
  find "/proc/$daemon_pid/fd" -type l -printf '%l\n' | sed 's/:\[.*//' | sort |
    awk '!(/\/index\/[0-9]+\.run$/ && !seen[$0]++)'
}
# "$@": further options.
storm() {
  "$bin/hostile_sessions" --unix "$nbd_socket" --tcp "$port" --bystander bystander --bystander-blocks 4096 \
    --target target --target "target@lsn:$lsn" --target "target@lsn:1" --target-bytes $((target_mib << 20)) \
    --seed "$seed" "$@" || fail "after the above, with seed $seed"
}

say "a short storm first, after which the daemon's pools are as large as they get"
storm --sessions $((sessions / 20)) --quiet-seconds 1 >/dev/null
sleep 1
memory=$(resident_kib)
descriptors >"$work/open.before"
log_bytes=$(stat -c %s "$daemon_log")

say "the storm, seed $seed"
storm --sessions "$sessions" | tee "$work/storm.out"

counted "$sessions" "hostile sessions"

say "nothing is left of it"
for ((i = 0; i < 300; i++)); do
  descriptors | comm -13 "$work/open.before" - >"$work/open.more"
  [ -s "$work/open.more" ] || break
  sleep 0.1
done
[ ! -s "$work/open.more" ] || fail "the daemon has more open than before the storm: $(cat "$work/open.more")"
grown=$(($(resident_kib) - memory))
log_grown=$(($(stat -c %s "$daemon_log") - log_bytes))
say "the daemon's memory grew by $grown KiB to $(resident_kib), its log by $log_grown bytes"
# What it grows by is the journal's index and tables, for 50 MB of history; what each session has at
# first is a buffer of 128 KiB.
[ "$grown" -le $((128 << 10)) ] || fail "the daemon's memory grew by $grown KiB"
[ "$log_grown" -le $((256 << 10)) ] || fail "the log grew by $log_grown bytes"

say "both volumes equal their history, and the view that was written to is as it was"
assert_live_equals_now target
assert_live_equals_now bystander
rm -f "$work/view.img"
nbdcopy "$(nbd_uri "target@lsn:$lsn")" "$work/view.img"
assert_same_bytes "$work/before.img" "$work/view.img" "the view of before the storm"
stop
hindsight --vault "$vault" verify >"$work/verify.out" 2>&1 || fail "verify: $(cat "$work/verify.out")"

# On a machine with other work the bystander's p99 alone varies tenfold by itself, so the ratio is
# printed, and should not exceed 3 on one without; the bound catches a bystander that waits for
# hostile sessions, not one that waits for a processor.
ratio=$(sed -n 's/^ratio: \([0-9.]*\) .*/\1/p' "$work/storm.out")
awk -v ratio="$ratio" 'BEGIN { exit !(ratio <= 20) }' || fail "the bystander's p99 grew $ratio times"
