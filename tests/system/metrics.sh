#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prometheus' own checker takes the metrics as they are; requests and bytes are counted as clients made
# them; where nobody signs in there is nothing else to be had; /readyz says when a volume is not served.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3 jq
promtool=$tests/../../build/promtool/promtool
[ -x "$promtool" ] || promtool=$(command -v promtool) || fail "no promtool; tools/setup --tests fetches it"

port=$(free_port)
start --metrics "tcp:127.0.0.1:$port"
create one 64M
create two 8M

# get PATH [STATUS]: the answer's body, which must come with that status (200).
get() {
  python3 - "http://127.0.0.1:$port$1" "${2:-200}" <<'PY' || fail "GET $1 did not answer ${2:-200}"
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1])
except urllib.error.HTTPError as error:
    answer = error
sys.stdout.write(answer.read().decode())
sys.exit(str(answer.status) != sys.argv[2])
PY
}
# value SERIES: of the last scrape.
value() { awk -v series="$1" '$0 !~ /^#/ && substr($0, 1, length(series) + 1) == series " " { print $NF }' "$work/metrics"; }
scrape() { get /metrics >"$work/metrics"; }
counts() { assert_equal "$2" "$(value "$1")" "$1"; }

say "what clients asked is counted"
python3 - "$nbd_socket" <<'PY'
import sys
import nbd
connection = nbd.NBD()
connection.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
connection.set_export_name("one")
connection.set_strict_mode(0)
connection.connect_unix(sys.argv[1])
for i in range(7):
    connection.pwrite(b"x" * 12288, i * 65536)
connection.pwrite(b"y" * (3 << 20), 8 << 20)  # in several pieces
for i in range(5):
    connection.pread(4096, i * 65536)
connection.pread(2 << 20, 8 << 20)
connection.flush()
connection.flush()
connection.trim(65536, 0)
connection.zero(8192, 131072)
connection.block_status(1 << 20, 0, lambda *_: 0)
for wrong in (lambda: connection.pread(4096, 64 << 20), lambda: connection.pwrite(b"z" * 4096, (64 << 20) - 1)):
    try:
        wrong()
        sys.exit("a request beyond the end went well")
    except nbd.Error:
        pass
# What it answers, it has counted.
connection.flush()
PY
scrape
requests() { echo "hindsight_volume_request_duration_seconds_count{volume=\"one\",operation=\"$1\"}"; }
bytes() { echo "hindsight_volume_request_bytes_total{volume=\"one\",operation=\"$1\"}"; }
errors() { echo "hindsight_volume_request_errors_total{volume=\"one\",operation=\"$1\"}"; }
counts "$(requests read)" 7
counts "$(bytes read)" $((5 * 4096 + (2 << 20)))
counts "$(errors read)" 1
counts "$(requests write)" 9
counts "$(bytes write)" $((7 * 12288 + (3 << 20)))
counts "$(errors write)" 1
counts "$(requests flush)" 3
counts "$(requests discard)" 2
counts "$(bytes discard)" $((65536 + 8192))
counts "$(requests other)" 1
counts "$(errors other)" 0
counts 'hindsight_volume_request_duration_seconds_count{volume="two",operation="write"}' 0
counts 'hindsight_volume_request_duration_seconds_bucket{volume="one",operation="write",le="+Inf"}' 9
sum=$(value 'hindsight_volume_request_duration_seconds_sum{volume="one",operation="write"}')
awk -v sum="$sum" 'BEGIN { exit !(sum > 0 && sum < 60) }' || fail "9 writes took $sum s"
counts 'hindsight_journal_client_bytes_total' $((7 * 12288 + (3 << 20)))
counts 'hindsight_volume_up{volume="one"}' 1
counts 'hindsight_volume_size_bytes{volume="two"}' $((8 << 20))
awk -v free="$(value hindsight_vault_free_bytes)" 'BEGIN { exit !(free > 1e6) }' || fail "the vault's free bytes"

say "promtool has nothing to say of it"
"$promtool" check metrics <"$work/metrics" >"$work/promtool" 2>&1 || fail "promtool: $(cat "$work/promtool")"
[ ! -s "$work/promtool" ] || fail "promtool: $(cat "$work/promtool")"

say "the alert rules do what they say, and ask for nothing that there is not; nor does the dashboard"
monitoring=$tools/monitoring
"$promtool" check rules "$monitoring/hindsight.rules.yml" >"$work/promtool" 2>&1 || fail "promtool: $(cat "$work/promtool")"
cp "$monitoring/hindsight.rules.yml" "$tests/alert_rules.yml" "$work"
"$promtool" test rules "$work/alert_rules.yml" >"$work/promtool" 2>&1 || fail "promtool: $(cat "$work/promtool")"
jq -e '[.panels[].targets[].expr] | length > 10' "$monitoring/grafana-dashboard.json" >/dev/null || fail "the dashboard"
grep -ohE 'hindsight_[a-z_]+' "$monitoring/hindsight.rules.yml" <(jq -r '.panels[].targets[].expr, .templating.list[].query' \
  "$monitoring/grafana-dashboard.json") | sort -u >"$work/asked"
[ "$(wc -l <"$work/asked")" -gt 15 ] || fail "they ask for little: $(cat "$work/asked")"
sed -n 's/^\(hindsight_[a-z_]*\).*/\1/p' "$work/metrics" | sort -u >"$work/there"
missing=$(comm -23 "$work/asked" "$work/there")
[ -z "$missing" ] || fail "there is no $missing"
# What a storage administrator asks first: latencies, bytes, errors, what a crash would lose, what waits, how
# much is kept and for how long, whether something is fenced.
for name in volume_request_duration_seconds_bucket volume_request_duration_seconds_count volume_request_bytes_total \
  volume_request_errors_total volume_dirty_bytes volume_up volume_fenced recovery_point_lag_seconds recorder_queued_bytes \
  journal_client_bytes_total journal_unique_bytes_total journal_stored_bytes_total journal_appended_bytes_total \
  journal_fenced journal_out_of_space vault_used_bytes vault_free_bytes history_oldest_timestamp_seconds \
  history_newest_timestamp_seconds; do
  grep -qx "hindsight_$name" "$work/there" || fail "there is no hindsight_$name"
done
for title in "Time to full" "Age of the chain's head" "History held"; do
  jq -e --arg title "$title" 'any(.panels[]; .title == $title)' "$monitoring/grafana-dashboard.json" >/dev/null ||
    fail "the dashboard does not show: $title"
done

say "nothing else is to be had there"
assert_equal ok "$(get /healthz)" "/healthz"
assert_equal ready "$(get /readyz)" "/readyz"
for path in / /api/status /api/volumes /api/openapi.json /metrics/x /metrics/../api/status; do
  get "$path" 404 >"$work/refusal"
  jq -e '.status == 404 and (.detail | length > 10)' "$work/refusal" >/dev/null || fail "$path: $(cat "$work/refusal")"
done
get '/metrics?nonsense=1' 400 >/dev/null

say "/readyz says which volume is not served, as do the metrics"
stop
rm "$state"/volumes/"$("$bin/hindsight" --vault "$vault" volume show two --json | jq -r .id)".raw
start --metrics "tcp:127.0.0.1:$port" >/dev/null 2>&1
get /readyz 503 | grep -q 'volume two is not served' || fail "/readyz: $(get /readyz 503)"
assert_equal ok "$(get /healthz)" "/healthz"
scrape
counts 'hindsight_volume_up{volume="two"}' 0
counts 'hindsight_volume_up{volume="one"}' 1
awk -v alerts="$(value hindsight_alerts)" 'BEGIN { exit !(alerts >= 1) }' || fail "no alert is counted"
stop

say "it is not shown to the whole network by mistake"
refused 2 'loopback.*metrics\.insecure' "$bin/hindsightd" --vault "$vault" --state "$state" --metrics tcp:0.0.0.0:1
refused 2 'udp' "$bin/hindsightd" --vault "$vault" --state "$state" --metrics udp:1.2.3.4:1
