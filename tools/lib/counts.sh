# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Lines of the form "counted: N what" are what programs and scripts say that they have done.

# sum_counts FILE...: added up, one line for each thing.
sum_counts() {
  awk '{ count = $2; $1 = $2 = ""; sub(/^ +/, ""); sum[$0] += count }
       END { for (what in sum) printf "%14d  %s\n", sum[what], what }' "$@" | sort -k 2
}
