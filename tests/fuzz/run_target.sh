#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs one fuzzer as ctest does:
#   run_target.sh FUZZER RUNS
#
# First every input of its corpus and of its regressions once: whatever broke before shows, at every
# run. Then RUNS fresh inputs, which for the same program, seed and corpus are the same. An input
# that breaks something is kept, its path is printed, and README.md says what becomes of it.
#
#   HINDSIGHT_FUZZ_FACTOR    times RUNS, 1 by default; 0: only what is kept
#   HINDSIGHT_FUZZ_SEED      1 by default
#   HINDSIGHT_FUZZ_SECONDS   fresh inputs for so long instead of RUNS
set -euo pipefail
fuzzer=$1
runs=$2
target=$(basename "$fuzzer")
target=${target#fuzz_}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
findings=$(dirname "$fuzzer")/../fuzz-findings/$target
mkdir -p "$findings"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

# What a client or a file says is not believed: no input needs more than this.
options=(-rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=60 -print_final_stats=1
  -artifact_prefix="$findings/")
if [ -f "$here/dictionaries/$target" ]; then options+=(-dict="$here/dictionaries/$target"); fi
kept=()
for kind in corpus regressions; do
  if [ -d "$here/$kind/$target" ]; then kept+=("$here/$kind/$target"); fi
done
export ASAN_SYMBOLIZER_PATH=${ASAN_SYMBOLIZER_PATH:-/usr/bin/llvm-symbolizer-19}

# Its words are many: the last ones say what matters, and more of them where it failed.
run() {
  local log=$fresh.log failed=0
  "$fuzzer" "${options[@]}" "$@" >"$log" 2>&1 </dev/null || failed=$?
  if [ "$failed" != 0 ]; then tail -n 60 "$log"; echo "FAILED: $target; inputs are in $findings"; fi
  grep -E '^stat::(number_of_executed_units|peak_rss_mb)' "$log" | sed "s/^stat::/$target: /" || true
  sed -n 's/^stat::number_of_executed_units: */counted: /p' "$log" | sed 's/$/ fuzzed inputs/'
  rm -f "$log"
  return "$failed"
}

run -runs=0 "${kept[@]}"
if [ -n "${HINDSIGHT_FUZZ_SECONDS:-}" ]; then
  limit=(-max_total_time="$HINDSIGHT_FUZZ_SECONDS")
else
  limit=(-runs=$((runs * ${HINDSIGHT_FUZZ_FACTOR:-1})))
fi
if [ "${limit[0]}" != -runs=0 ]; then
  # New inputs are written to the first directory: not into the tree.
  run -seed="${HINDSIGHT_FUZZ_SEED:-1}" "${limit[@]}" "$fresh" "${kept[@]}"
fi
