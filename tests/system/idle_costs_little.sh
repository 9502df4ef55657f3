#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A daemon that nobody writes to adds at most one small frame a minute to the journal, and rests.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs jq nbdcopy

start
create disk 64M
dd if=/dev/urandom bs=1M count=8 status=none | nbdcopy --flush - "$(nbd_uri disk)"
journal_bytes() { hindsight status --json | jq '.journal.journal_bytes'; }
processor_ticks() { awk '{ print $14 + $15 }' "/proc/$daemon_pid/stat"; }

# The write-back of what was written, and its checkpoint, come first.
sleep 3
before=$(journal_bytes)
ticks=$(processor_ticks)
[[ $before =~ ^[0-9]+$ && $before -gt 0 ]] || fail "status --json has no journal.journal_bytes: $before"
sleep 15
grown=$(($(journal_bytes) - before))
spent=$(($(processor_ticks) - ticks))
say "in 15 idle seconds the journal grew by $grown bytes; the daemon used $((spent * 10)) ms of processor time"
[ "$grown" -le 8192 ] || fail "an idle journal grew by $grown bytes"
# Questions of `status` included, a resting daemon uses well below a hundredth of a core.
[ "$spent" -le 75 ] || fail "an idle daemon used $((spent * 10)) ms of processor time in 15 s"

say "a restart adds little, too"
stop
used() { du -sB1 "$vault/segments" | cut -f 1; }
for _ in 1 2 3 4 5; do start; stop; done
one=$(used)
for _ in 1 2 3 4 5; do start; stop; done
grown=$(($(used) - one))
say "five more starts and stops took $grown bytes of disk"
[ "$grown" -le $((1 << 20)) ] || fail "five idle starts cost $grown bytes of disk"
