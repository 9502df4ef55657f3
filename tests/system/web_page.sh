#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The administrator's page in a real browser, on real daemons that serve it: see tools/web/browser. Pictures of
# each page are left beside the programs, to be looked at.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs chromium nbdcopy python3 jq
web=$tools/web
[ -e "$web/dist/index.html" ] || skip "the page was left out of the build"
export NO_COLOR=1 PATH=$("$web/build" --node):$PATH

say "the page knows the API as the daemon describes it"
start
curl -s --unix-socket "$state/control.sock" http://localhost/api/openapi.json | jq -S . >"$work/openapi.json"
jq -S . "$web/src/api/openapi.json" | diff - "$work/openapi.json" >"$work/difference" ||
  fail "tools/web/src/api/openapi.json is another (< page, > daemon); take the daemon's, and npm run types: $(head -n 20 "$work/difference")"
stop

say "in the browser"
cd "$web"
HINDSIGHT_BIN=$bin HINDSIGHT_SCREENSHOTS=${HINDSIGHT_SCREENSHOTS:-$bin/../screenshots} TMPDIR=$work \
  npx --no-install vitest run --project browser
