#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The API by curl: what the README says of it, as it stands there, and over HTTPS with a token, as a script would do it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs curl jq

export HOME=$work/home XDG_CONFIG_HOME=$work/home/.config
mkdir -p "$HOME" "$state"
port=$(free_port)
metrics=$(free_port)
hindsight tls init --directory "$state/tls" --name 127.0.0.1 >/dev/null 2>&1 || fail "tls init"
start --http "127.0.0.1:$port" --metrics "tcp:127.0.0.1:$metrics"
create shop 8M

say "the README's lines"
# begins_with_data FILE: waits for the first event of a stream that does not end.
begins_with_data() {
  local i
  for i in $(seq 400); do
    if grep -q '^data: {' "$1"; then return 0; fi
    sleep 0.05
  done
  return 1
}
lines=0
while read -r line; do
  lines=$((lines + 1))
  # Only the places are this test's.
  command=${line//\/srv\/volumes\/control.sock/$state/control.sock}
  command=${command//127.0.0.1:9310/127.0.0.1:$metrics}
  out=$work/curl.$lines
  case $command in
    *'/api/events'*)
      bash -c "exec $command" >"$out" 2>"$work/err" </dev/null &
      reader=$!
      remember_process clients "$reader"
      begins_with_data "$out" || complain "$line: $(cat "$out" "$work/err")"
      kill "$reader" 2>/dev/null || complain "$line: it has ended: $(cat "$work/err")"
      continue
      ;;
  esac
  timeout 60 bash -c "$command" >"$out" 2>"$work/err" </dev/null || complain "$line ended with $?: $(cat "$work/err")"
  case $command in
    *'/api/openapi.json'*) jq -e '.openapi and .paths["/api/marks"].post' "$out" >/dev/null ;;
    *'/api/marks'*) jq -e '.label == "before-upgrade" and .lsn' "$out" >/dev/null ;;
    *'/metrics'*) grep -q '^hindsight_' "$out" ;;
    *) complain "$line: what it is to answer, this test does not know" ;;
  esac || complain "$line: $(head -c 300 "$out")"
done < <(sed -n 's/^ *\(curl .*\)$/\1/p' "$tests/../../README.md")
[ "$lines" -ge 4 ] || fail "only $lines lines of the README were found"
for path in healthz readyz; do
  curl -sS --fail "http://127.0.0.1:$metrics/$path" >"$work/out" || complain "/$path beside the metrics: $(cat "$work/out")"
done

say "over HTTPS, with a token"
password="a password of the first one"
code=$(grep -oE 'with the code [2-9A-Z-]+' "$daemon_log" | tail -n 1 | cut -d ' ' -f 4)
hindsight setup alice --code "$code" <<<"$password" 2>/dev/null || fail "setup"
export HINDSIGHT_SERVER=https://127.0.0.1:$port
hindsight login alice --ca "$state/tls/ca.crt" <<<"$password" 2>/dev/null || fail "login"
hindsight user change alice --role operator --role admin >/dev/null 2>&1 || fail "alice becomes an operator"
hindsight login alice <<<"$password" 2>/dev/null || fail "login, with her new role"
token=$(hindsight token create curl 2>/dev/null) || fail "token create"

# api STATUS PATH OPTION...: the body is in out, the header in head.
api() {
  local expected=$1 path=$2 status
  shift 2
  status=$(curl -sS --cacert "$state/tls/ca.crt" -D "$work/head" -o "$work/out" -w '%{http_code}' "$@" "https://127.0.0.1:$port$path" 2>"$work/err") ||
    complain "curl $path ended with $?: $(cat "$work/err")"
  [ "$status" = "$expected" ] || complain "curl $path: $status and not $expected: $(cat "$work/out")"
}
bearer=(-H "Authorization: Bearer $token")
api 200 /api/status "${bearer[@]}"
jq -e '.volumes[0].name == "shop"' "$work/out" >/dev/null || complain "the status: $(cat "$work/out")"
api 201 /api/marks "${bearer[@]}" -H 'Idempotency-Key: once' --json '{"label": "by curl", "volume": "shop"}'
cp "$work/out" "$work/first"
api 201 /api/marks "${bearer[@]}" -H 'Idempotency-Key: once' --json '{"label": "by curl", "volume": "shop"}'
assert_same_bytes "$work/first" "$work/out" "the mark, asked for twice with one key"
api 409 /api/marks "${bearer[@]}" --json '{"label": "by curl", "volume": "shop"}'
grep -qi '^content-type: application/problem+json' "$work/head" || complain "a problem: $(cat "$work/head")"
api 401 /api/status
api 401 /api/status -H "Authorization: Bearer ${token%?}"
api 415 /api/marks "${bearer[@]}" -d '{"label": "a form", "all": true}' # curl says it is one
api 200 /healthz
status=0
curl -sS "https://127.0.0.1:$port/healthz" >"$work/out" 2>&1 || status=$?
assert_equal 60 "$status" "exit of curl without the CA"
stop
