#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Server-sent events: what changes is told to all who listen, to slow ones as the newest alone, for as
# long as they may see it; and a stop does not wait for them.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3 qemu-io

port=$(free_port)
start --http "127.0.0.1:$port"
create shop 64M
code=$(grep -oE '[2-9A-Z]{5}-[2-9A-Z]{5}-[2-9A-Z]{5}' "$daemon_log" | head -n 1)
[ -n "$code" ] || fail "the daemon tells no code at its first start"
python3 "$tests/events.py" "$state/control.sock" "$port" "$code" || fail "events: see above"

say "a stop does not wait for who listens"
python3 "$tests/events.py" "$state/control.sock" & listener=$!
sleep 1
stop
wait "$listener" || fail "a listener was not told of the end"
