# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# How the demo shows what it does: one aligned line a step with its time, one a check.

thousands() { sed -E ':again; s/^([0-9]+)([0-9]{3})/\1,\2/; t again' <<<"$1"; }

# Reads a number of bytes.
mebibytes() { awk '{ printf "%.0f", $1 / 1048576 }'; }

# step_begin NAME; step_end TEXT. A terminal shows the step while it runs.
step_begin() {
  step=$1
  step_started=${EPOCHREALTIME/[.,]/}
  if [ -t 1 ]; then printf '  %-10s ...' "$1"; fi
}
step_end() {
  local spent=$((${EPOCHREALTIME/[.,]/} - step_started))
  if [ -t 1 ]; then printf '\r'; fi
  printf '  %-10s %-82s %5d.%d s\n' "$step" "$1" $((spent / 1000000)) $((spent / 100000 % 10))
}

checks_failed=0
checks_passed=0
checks_text=

# check STATUS TEXT: noted now, printed with the others.
check() {
  if [ "$1" = 0 ]; then
    checks_passed=$((checks_passed + 1))
    checks_text+="  PASS      $2"$'\n'
  else
    checks_failed=$((checks_failed + 1))
    checks_text+="  FAIL      $2"$'\n'
  fi
}

check_print() { printf '%s' "$checks_text"; }

check_result() {
  echo
  echo "$checks_passed passed, $checks_failed failed"
  [ "$checks_failed" = 0 ]
}
