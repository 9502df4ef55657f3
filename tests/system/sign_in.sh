#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Who may do what, over HTTPS and the control socket: the first start, sessions, tokens, roles, guesses, the audit; and
# that users are in the journal, so that nothing beside it can lose them or open the first start again.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs python3 faketime

port=$(free_port)
"$bin/hindsight" tls init --directory "$work/tls" >/dev/null
serve() {
  start --http "127.0.0.1:$port" --config "$work/hindsight.toml" "$@"
}
cat >"$work/hindsight.toml" <<TOML
[tls]
certificate = "$work/tls/server.crt"
key = "$work/tls/server.key"
TOML
authority=$work/tls/ca.crt
step() {
  local name=$1
  shift
  say "$name"
  PYTHONWARNINGS=ignore python3 "$tests/sign_in.py" "$name" "$port" "$authority" "$state/control.sock" \
    "$work/kept" "$@" || fail "$name: see above"
}

serve
code=$(grep -oE '[2-9A-Z]{5}-[2-9A-Z]{5}-[2-9A-Z]{5}' "$daemon_log" | head -n 1)
[ -n "$code" ] || fail "the daemon tells no code at its first start"
create shop 8M
step first_start "$code"
step cookies
step matrix
step pages
step users
step guesses
step audit

say "no secret is in the journal or the log"
# The zeroes that a segment ends with would be one line to grep, which keeps a line in memory.
find "$vault" -type f -exec cat {} + | tr -s '\0' '\n' >"$work/vault.bytes"
for secret in "correct horse battery staple" hindsight_ __Host-hindsight; do
  ! grep -qaF -- "$secret" "$work/vault.bytes" || fail "the vault has \"$secret\""
  ! grep -qF -- "$secret" "$daemon_log" || fail "the daemon's log has \"$secret\""
done
grep -qaF argon2id "$work/vault.bytes" || fail "this looks in the wrong place: no verifier is found"

say "whoever can open the control socket is not yet somebody"
if [ "$(id -u)" = 0 ]; then
  chmod a+x "$state"
  chmod 666 "$state/control.sock"
  # status_of COMMAND...: of /api/status, asked by the user whom the command becomes.
  status_of() {
    (cd "$state" && "$@" python3 -c '
import http.client, socket
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect("control.sock")
connection.request("GET", "/api/status")
print(connection.getresponse().status)')
  }
  as_nobody=(setpriv --reuid=nobody --regid=nogroup)
  assert_equal 401 "$(status_of "${as_nobody[@]}" --clear-groups)" "status for nobody at the control socket"
  # What counts is the kernel's word, not a group of the shell that started it.
  assert_equal 401 "$(status_of "${as_nobody[@]}" --groups=65533)" "status for a member of another group"
  if group=$(getent group hindsight | cut -d : -f 3) && [ -n "$group" ]; then
    assert_equal 200 "$(status_of "${as_nobody[@]}" --groups="$group")" "status for a member of the group"
  fi
  assert_equal 200 "$(status_of env)" "status for root"
fi

step keep
kill_daemon
serve
say "after a crash"
step kept
stop
say "without anything that is derived"
find "$state" -mindepth 1 -not -path "$state/volumes*" -delete
rm -rf "$vault/index"
serve
step kept
stop

assert_equal 1 "$(grep -cE '[2-9A-Z]{5}-[2-9A-Z]{5}-[2-9A-Z]{5}' "$daemon_log")" "how often, in three starts, the daemon told a code"

say "in clear"
start --http "127.0.0.1:$port"
authority='' step in_clear
stop

say "two days later"
# shellcheck disable=SC2046
export $(faketime -f +2d env | grep -E '^(LD_PRELOAD|FAKETIME)=')
serve
unset LD_PRELOAD FAKETIME
step expired
