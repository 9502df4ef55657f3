#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A client that somebody else's program makes of the OpenAPI document does an administrator's work with it: it signs in,
# makes a user and a volume, marks and rolls back, and waits for a job. Debian's OpenAPI::Client knows OpenAPI 3.0, so
# what 3.1 says otherwise is said its way first; nothing is added.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs jq perl curl
perl -MOpenAPI::Client -e 1 2>/dev/null || skip "Debian's package libopenapi-client-perl is not here"

port=$(free_port)
start --http "127.0.0.1:$port"
code=$(grep -oE '[2-9A-Z]{5}-[2-9A-Z]{5}-[2-9A-Z]{5}' "$daemon_log" | head -n 1)
curl -sS --fail "http://127.0.0.1:$port/api/openapi.json" | jq '
  .openapi = "3.0.3" | del(.info.license.identifier) | walk(
    if type == "object" then
      (if (.type? | type) == "array" then .nullable = true | .type = .type[0] else . end) |
      (if any(.anyOf[]?; .type == "null") then
         .nullable = true | .allOf = (.anyOf | map(select(.type != "null"))) | del(.anyOf) else . end) |
      (if (.examples? | type) == "array" then .example = .examples[0] | del(.examples) else . end)
    else . end)' >"$work/openapi.json"

say "made of the document, it does what an administrator does"
perl "$tests/generated_client.pl" "$work/openapi.json" "http://127.0.0.1:$port" "$code" || fail "see above"
assert_equal 200 "$(hindsight audit --json 2>/dev/null | jq '[.audit[] | select(.act == "rollBack" and .actor == "bob")][0].status')" \
  "bob's rollback in the audit"
stop
