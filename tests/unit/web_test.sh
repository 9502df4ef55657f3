#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# web_test.sh TREE: the page's own logic, its types, and its words in every language.
set -euo pipefail
cd "$1/tools/web"
[ -e dist/index.html ] || { echo "skipped: the page was left out of the build"; exit 77; }
export NO_COLOR=1 PATH=$(./build --node):$PATH
npm run --silent check
npm test --silent
