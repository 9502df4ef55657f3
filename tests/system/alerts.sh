#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Who is to be told of what is wrong is told: once when it begins, again when it is over, patiently where the webhook
# fails for a moment, and never of the webhook's own secret.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3 jq

told=$work/told
touch "$told"
python3 "$tests/alerts.py" "$told" >"$work/port" 2>/dev/null </dev/null &
remember_process servers $!
for ((i = 0; i < 100; i++)); do [ -s "$work/port" ] && break; sleep 0.1; done
cat >"$work/hindsight.toml" <<TOML
[alerts]
webhook = "http://127.0.0.1:$(cat "$work/port")/hook?key=very-secret"
TOML
# told_of STATUS PATTERN COUNT SECONDS
told_of() {
  local i
  for ((i = 0; i < $4 * 10; i++)); do
    [ "$(jq -c "select(.status == \"$1\" and (.message | test(\"$2\")))" "$told" | wc -l)" -lt "$3" ] || return 0
    sleep 0.1
  done
  fail "the webhook was not told $3 times of $1 $2: $(cat "$told")"
}

start
create lost 8M
create kept 8M
refused 1 "no webhook" "$bin/hindsight" alert test
stop
mv "$state/volumes/$(hindsight --vault "$vault" volume show lost --json | jq -r .id).raw" "$work/aside"

start --config "$work/hindsight.toml"
say "an alert is told once"
told_of firing "volume lost" 1 10
sleep 3
assert_equal 1 "$(wc -l <"$told")" "what was told"
jq -e --arg vault "$(hindsight status --json | jq -r .vault.id)" \
  '.vault == $vault and (.since | test("^20.*Z$")) and (.host | length > 0)' "$told" >/dev/null || fail "it says: $(cat "$told")"

say "a test is told at once, and what came of it is said"
hindsight alert test
told_of test "asked for by root" 1 1
touch "$told.broken"
refused 1 "500" "$bin/hindsight" alert test
say "a webhook that fails is tried again"
hindsight volume remove lost >/dev/null 2>&1
rm "$told.broken"
stop

say "and after a start, of what is wrong then"
create_missing() { mv "$state/volumes/$(hindsight --vault "$vault" volume show kept --json | jq -r .id).raw" "$work/aside2"; }
create_missing
touch "$told.broken"
start --config "$work/hindsight.toml"
for ((i = 0; i < 100; i++)); do grep -q "volume kept" "$told.refused" 2>/dev/null && break; sleep 0.1; done
rm "$told.broken"
told_of firing "volume kept" 1 12
say "when it is over for a minute, that is told"
hindsight volume remove kept >/dev/null 2>&1
told_of resolved "volume kept" 1 70

say "the journal has it, and no log has the secret"
hindsight audit --json 2>/dev/null | jq -e '[.audit[] | select(.act == "alert") | .detail | fromjson | .status] | sort | unique == ["firing", "resolved"]' >/dev/null ||
  fail "the audit lacks them: $(hindsight audit --json)"
hindsight audit --json 2>/dev/null | jq -e '.audit | any(.act == "testAlert" and .status == 200)' >/dev/null || fail "the audit lacks the test"
sed -i 's/very-secret/another-secret/' "$work/hindsight.toml"
kill -HUP "$daemon_pid"
for ((i = 0; i < 50; i++)); do grep -q "alerts.webhook is another one" "$daemon_log" && break; sleep 0.1; done
grep -q "alerts.webhook is another one" "$daemon_log" || fail "the daemon did not take another webhook"
hindsight alert test
! grep -E "very-secret|another-secret" "$daemon_log" || fail "the log has the secret"
stop
hindsight --vault "$vault" audit --limit 3 | grep -q testAlert || fail "the vault alone tells the audit"
