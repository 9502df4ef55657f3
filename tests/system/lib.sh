# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the system tests share: a work directory that is cleaned on every exit path, one daemon, and
# assertions that say what was expected. A test sources this first:
#
#   . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#
# HINDSIGHT_BIN        the programs (build/release/bin)
# HINDSIGHT_TEST_DIR   where work directories are made (/var/tmp)
set -euo pipefail
export LC_ALL=C
# libnbd's Python module belongs to Debian's own interpreter, which another may hide.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$(cd "$tests/../../tools" && pwd)
bin=${HINDSIGHT_BIN:-$tests/../../build/release/bin}
# shellcheck source-path=SCRIPTDIR
. "$tools/lib/work_dir.sh"
. "$tools/lib/appliance.sh"

say() { echo "- $*"; }
# counted N WHAT: a line that tools/test adds up, over all tests.
counted() { echo "counted: $*"; }
# Said at once, as it may be in a subshell, and again below the daemon's log.
fail() {
  failure=$*
  echo "FAILED: $*" >&2
  exit 1
}
# For independent checks: the test goes on, and fails at its end.
complain() {
  echo "FAILED: $*" >&2
  complaints=$((complaints + 1))
}
complaints=0
failure=
skip() { echo "skipped: $*"; exit 77; }

on_exit() {
  local status=$?
  trap '' INT TERM HUP
  set +e
  if [ "$status" = 0 ] && [ "$complaints" -gt 0 ]; then status=1; fi
  [ -z "${doomed_pid:-}" ] || end_fio_doomed
  if [ "$status" != 0 ] && [ "$status" != 77 ]; then
    echo "The end of hindsightd's log:" >&2
    tail -n 20 "$daemon_log" >&2
    echo "FAILED with exit $status${failure:+: $failure}" >&2
  fi
  work_dir_clean "$work" "${HINDSIGHT_TEST_KEEP:+keep}"
  [ -z "${HINDSIGHT_TEST_KEEP:-}" ] || echo "kept: $work"
  exit "$status"
}

[ -x "$bin/hindsightd" ] && [ -x "$bin/hindsight" ] ||
  { echo "FAILED: no programs in $bin; build them with tools/build release" >&2; exit 1; }
work_dir_make "${HINDSIGHT_TEST_DIR:-/var/tmp}" hindsight-test
appliance_paths
doomed_pid=
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

needs_root() { [ "$(id -u)" = 0 ] || skip "needs root to $1"; }
needs() {
  local tool
  for tool in "$@"; do command -v "$tool" >/dev/null || fail "no $tool here; tools/setup --tests installs it"; done
}

start() { appliance_start "$@" || fail "hindsightd did not start: $(tail -n 3 "$daemon_log")"; }
stop() {
  appliance_stop
  [ "$daemon_status" = 0 ] || fail "hindsightd ended with $daemon_status on SIGTERM, not 0"
}
kill_daemon() { appliance_stop KILL; }

# Whether the kernel makes the namespaces that hindsight-check wants: inside a chroot it makes none of users.
makes_namespaces() { unshare --user --mount --pid --fork true 2>/dev/null; }

# serve_checks COMMAND...: as systemd would for hindsight-check.socket; daemons that start later know of it.
serve_checks() {
  local i
  export HINDSIGHTD_CHECK_SOCKET=$work/check.sock
  : >"$work/checks.log"
  python3 "$tests/accept_loop.py" "$HINDSIGHTD_CHECK_SOCKET" "$@" >>"$work/checks.log" 2>&1 </dev/null &
  checks_pid=$!
  remember_process servers "$checks_pid"
  for ((i = 0; i < 200; i++)); do
    grep -q '^listening$' "$work/checks.log" && return
    sleep 0.05
  done
  fail "nobody listens for checks: $(cat "$work/checks.log")"
}

# For tests that are about something else than what is checked: of a volume on which nothing is known.
serve_checks_of_nothing() {
  if makes_namespaces; then
    serve_checks "$bin/hindsight-check"
  else
    echo "    (no user namespaces here: a checker that always finds nothing stands in)"
    echo "finds nothing" >"$work/how"
    serve_checks python3 "$tests/false_checker.py" "$work"
  fi
}

create() { hindsight volume create "$1" --size "$2" >"$work/create.out" 2>&1 || fail "volume create $1 --size $2: $(cat "$work/create.out")"; }

# TCP ports are asked of the kernel. Another process may take one before the daemon does; rare.
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

assert_equal() { [ "$1" = "$2" ] || fail "$3: expected '$1', got '$2'"; }
assert_same_bytes() { cmp "$1" "$2" || fail "$3: $1 and $2 differ"; }

# refused EXIT PATTERN COMMAND...: the command must fail with that exit code (1, 2 or "1|2") and say why on stderr,
# in words that match the pattern (case ignored).
refused() {
  local expected=$1 pattern=$2 status=0
  shift 2
  timeout 60 "$@" >"$work/refused.out" 2>"$work/refused.err" </dev/null || status=$?
  if [ "$status" = 124 ]; then
    complain "'$(cut -c 1-300 <<<"$*")' did not end in 60 s instead of refusing"
  elif ! [[ $status =~ ^($expected)$ ]]; then
    complain "'$(cut -c 1-300 <<<"$*")' ended with $status, not $expected: $(cat "$work/refused.out" "$work/refused.err")"
  elif [ ! -s "$work/refused.err" ]; then
    complain "'$(cut -c 1-300 <<<"$*")' failed without a word on stderr"
  elif ! grep -qiE -- "$pattern" "$work/refused.err"; then
    complain "'$(cut -c 1-300 <<<"$*")' should have spoken of /$pattern/: $(cat "$work/refused.err")"
  else
    echo "    $(tail -n 1 "$work/refused.err" | cut -c 1-400)"
  fi
}

# restore NAME POINT FILE [VAULT-OPTIONS]: exit 3 (a crash lies in the range, say) is a success too.
restore() {
  local name=$1 point=$2 file=$3 status=0
  shift 3
  "$bin/hindsight" "$@" restore "$name" --at "$point" --to "$file" >"$work/restore.out" 2>"$work/restore.err" || status=$?
  restore_status=$status
  case $status in
    0 | 3) ;;
    *) fail "restore $name --at $point $* ended with $status: $(cat "$work/restore.err")" ;;
  esac
}

# The live volume's bytes, as an independent client reads them.
copy_live() { rm -f "$2"; nbdcopy "$(nbd_uri "$1")" "$2" || fail "nbdcopy could not read $1"; }

assert_live_equals_now() {
  copy_live "$1" "$work/live.img"
  rm -f "$work/now.img"
  restore "$1" now "$work/now.img"
  assert_same_bytes "$work/live.img" "$work/now.img" "volume $1 against its restore at now"
  rm -f "$work/live.img" "$work/now.img"
}

# lsn_of NAME POINT
lsn_of() { hindsight points "$1" --at "$2" --json 2>/dev/null | jq -r .point.lsn; }

# fio_doomed URI OPTION...: fio in the background, to lose its server. Its nbd engine then spins for
# ever instead of ending, so end_fio_doomed ends it. Its jobs are threads: a job that fio forks makes
# itself a session and would outlive its parent.
fio_doomed() {
  local uri=$1
  shift
  fio --ioengine=nbd --thread --verify_state_save=0 --uri="$uri" --refill_buffers --output=/dev/null "$@" >/dev/null 2>&1 </dev/null &
  doomed_pid=$!
  remember_process clients "$doomed_pid"
}
end_fio_doomed() {
  kill -KILL "$doomed_pid" 2>/dev/null || true
  wait "$doomed_pid" 2>/dev/null || true
  doomed_pid=
}

# fio_nbd URI OPTION...: verify failures and lost connections are failures.
fio_nbd() {
  local uri=$1
  shift
  timeout -k 5 300 fio --ioengine=nbd --uri="$uri" --verify_state_save=0 --verify_fatal=1 --refill_buffers --output="$work/fio.out" "$@" \
    >/dev/null 2>"$work/fio.err" || { tail -n 20 "$work/fio.out" "$work/fio.err" >&2; return 1; }
}
