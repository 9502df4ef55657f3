#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that clients and an administrator may do, in random order, against a model of every
# version: live volumes, past points, clones and differences are what the model says, through kills.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3

runs=${HINDSIGHT_RUNS:-3}
operations=${HINDSIGHT_OPERATIONS:-600}
seed=${HINDSIGHT_SEED:-$RANDOM}
for ((i = 0; i < runs; i++)); do
  say "$operations operations (seed $((seed + i)))"
  python3 "$tests/random_work.py" "$bin" "$work" $((seed + i)) "$operations" >"$work/said" 2>&1 ||
    fail "seed $((seed + i)): $(tail -n 3 "$work/said")"
  echo "    $(cat "$work/said")"
  chattr -R -f -i "$vault" || true
  rm -rf "$vault" "$state"
done
