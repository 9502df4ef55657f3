#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The administrator's page in a real browser, on real daemons that serve it: see tools/web/browser. Pictures of
# each page are left beside the programs, to be looked at.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs chromium nbdcopy nbdsh qemu-io python3
web=$tools/web
[ -e "$web/dist/index.html" ] || skip "the page was left out of the build"
export NO_COLOR=1 PATH=$("$web/build" --node):$PATH

cd "$web"
HINDSIGHT_BIN=$bin HINDSIGHT_SCREENSHOTS=${HINDSIGHT_SCREENSHOTS:-$bin/../screenshots} TMPDIR=$work \
  npx --no-install vitest run --project browser
