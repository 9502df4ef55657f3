#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The REST API against the OpenAPI document that it serves: every operation answers what it says there, and everything
# that the document does not allow is refused, by requests that are generated from it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3
python3 -c 'import jsonschema' 2>/dev/null || fail "no python3-jsonschema here; tools/setup --tests installs it"

needs nbdfuse
serve_checks_of_nothing
start --http "127.0.0.1:$(free_port)"
code=$(grep -oE '[2-9A-Z]{5}-[2-9A-Z]{5}-[2-9A-Z]{5}' "$daemon_log" | head -n 1)
truncate -s 8M "$work/backing"
PYTHONWARNINGS=ignore python3 "$tests/api_keeps_its_word.py" "$state/control.sock" "$vault" "$work/backing" "$code" "$nbd_socket" ||
  fail "the API and its description differ"
stop
