#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What holds for every verb of `hindsight`, the new ones too, as they are taken from --help: who reads prints one JSON
# document with --json, of a daemon and of a vault; who changes something does not do it to a vault. And colours are for
# terminals that have them, whose users want them.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs curl jq qemu-io script nbdfuse

say "a daemon with one of everything"
serve_checks_of_nothing
start --control "unix:$state/control.sock"
create shop 8M
qemu-io -f raw -c 'write -P 7 0 1M' -c flush "$(nbd_uri shop)" >/dev/null
hindsight mark shop begin >/dev/null
hindsight clone shop --at now --as try >/dev/null 2>&1 || fail "clone"
hindsight verify >/dev/null 2>&1 || fail "verify"
# Users are for administrators to see, whom the control socket knows by a token alone.
code=$(grep -oE 'with the code [2-9A-Z-]+' "$daemon_log" | tail -n 1 | cut -d ' ' -f 4)
[ -n "$code" ] || fail "without HTTP the log tells no code, for which setup asks all the same"
password="a password of the first one"
hindsight setup adam --code "$code" <<<"$password" 2>/dev/null || fail "setup at the control socket, with the code of the log"
api() { curl -sS --fail --unix-socket "$state/control.sock" "$@"; }
csrf=$(api --cookie-jar "$work/cookies" --json "{\"name\": \"adam\", \"password\": \"$password\"}" http://localhost/api/session | jq -r .csrf_token)
cookie=$(awk '$6 == "hindsight" { print $7 }' "$work/cookies")
token=$(api -H "Cookie: hindsight=$cookie" -H "X-CSRF-Token: $csrf" --json '{"label": "a test'\''s"}' http://localhost/api/tokens | jq -r .token)
[ "${token#hindsight_}" != "$token" ] || fail "no token of adam"

# Each verb, as words and arguments: what reads of both, what reads of a daemon only, what changes something there, and
# what is done without either. A verb in --help that is in none of them fails.
declare -A reads=(
  ["volume list"]="--removed" ["volume show"]="shop" ["points"]="shop --at mark:begin" ["timeline"]="shop --step 1min"
  ["diff"]="shop --from first --to now" ["verify"]="--deep" ["status"]="" ["audit"]="--limit 5"
)
declare -A reads_daemon=(
  ["jobs"]="--limit 1" ["jobs show"]="1" ["clone list"]="" ["view"]="shop --at mark:begin" ["whoami"]=""
  ["check"]="shop --at mark:begin"
  ["user list"]="" ["token list"]=""
)
declare -A changes=(
  ["volume create"]="other --size 8M" ["volume resize"]="shop --size 16M" ["volume rename"]="shop other" ["volume remove"]="shop"
  ["volume resume"]="shop" ["mark"]="shop other" ["clone"]="shop --at mark:begin --as other" ["clone remove"]="try"
  ["recover"]="shop --at mark:begin --as other" ["rollback"]="shop --at mark:begin --yes" ["jobs cancel"]="1" ["alert test"]=""
  ["setup"]="eve --code A" ["login"]="eve" ["logout"]="" ["user create"]="eve --role viewer" ["user change"]="adam --role viewer"
  ["user remove"]="adam" ["user password"]="" ["token create"]="other" ["token revoke"]="0123456789abcdef"
)
declare -A others=(["restore"]="" ["tls init"]="" ["tls client"]="")

verbs_of() { "$bin/hindsight" "$@" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]\+\)  .*/\1/p'; }
# What stands alone has arguments or options of its own, besides --help.
stands_alone() { "$bin/hindsight" "$@" --help | grep -qE '^(Positionals:|  +--)' ; }
found=()
find_verbs() { # WORD...
  local below word
  below=$(verbs_of "$@")
  if [ -z "$below" ] || stands_alone "$@"; then found+=("$*"); fi
  for word in $below; do find_verbs "$@" "$word"; done
}
for verb in $(verbs_of); do find_verbs "$verb"; done
declare -A known=()
for verb in "${!reads[@]}" "${!reads_daemon[@]}" "${!changes[@]}" "${!others[@]}"; do known[$verb]=1; done
for verb in "${found[@]}"; do
  [ -n "${known[$verb]:-}" ] || complain "the verb '$verb' is in --help, and this test does not know what it does"
  unset "known[$verb]"
done
for verb in "${!known[@]}"; do complain "the verb '$verb' is not in --help"; done

# one_document WORDS...: of a command that must end well, or with something to know.
one_document() {
  local status=0
  "$bin/hindsight" "$@" --json >"$work/out" 2>"$work/err" </dev/null || status=$?
  if [ "$status" != 0 ] && [ "$status" != 3 ]; then
    complain "hindsight $* --json ended with $status: $(cat "$work/err")"
  elif [ "$(wc -l <"$work/out")" != 1 ] || [ "$(jq -s 'map(type) == ["object"]' "$work/out" 2>&1)" != true ]; then
    complain "hindsight $* --json is not one document on one line: $(head -c 300 "$work/out")"
  fi
}

say "who reads prints one document: ${#reads[@]} verbs of both, ${#reads_daemon[@]} of a daemon"
export HINDSIGHT_TOKEN=
refused 2 'verb is missing' "$bin/hindsight" --json >/dev/null # alone it is for people
for verb in "${!reads[@]}" "${!reads_daemon[@]}"; do
  case $verb in user* | token*) HINDSIGHT_TOKEN=$token ;; *) HINDSIGHT_TOKEN= ;; esac
  # shellcheck disable=SC2086
  one_document $verb ${reads[$verb]:-${reads_daemon[$verb]:-}}
done
HINDSIGHT_TOKEN=
# shellcheck disable=SC2086
for verb in "${!reads[@]}"; do one_document --vault "$vault" $verb ${reads[$verb]}; done

say "a vault is only read, and who is refused is told whom to ask: ${#changes[@]} verbs"
listing() { find "$vault" -printf '%P %s %T@\n' | sort; }
stop
listing >"$work/before"
for verb in "${!reads_daemon[@]}" "${!changes[@]}"; do
  # shellcheck disable=SC2086
  refused '1|2' 'daemon' "$bin/hindsight" --vault "$vault" $verb ${reads_daemon[$verb]:-${changes[$verb]:-}} >/dev/null
  if [ -n "${reads_daemon[$verb]+reads}" ] && grep -q 'changes a vault' "$work/refused.err"; then
    complain "$verb only reads: $(cat "$work/refused.err")"
  fi
done
listing >"$work/after"
assert_same_bytes "$work/before" "$work/after" "the vault, before and after what was asked of it"

# has_colour YES|NO WHAT COMMAND: what it prints, through a terminal where `through` says so.
has_colour() {
  local is_there=no
  if "${through[@]}" "$3" >"$work/out" 2>&1 </dev/null; then :; fi
  [ -s "$work/out" ] || complain "$2: nothing was printed"
  ! grep -q $'\e' "$work/out" || is_there=yes
  [ "$is_there" = "$1" ] || complain "$2: colours: $is_there, and not $1: $(head -c 300 "$work/out" | cat -v)"
}
terminal() { script -qec "$1" /dev/null; }
pipe() { bash -c "$1" | cat; }

say "colours are for terminals that have them"
timeline="'$bin/hindsight' --vault '$vault' timeline shop"
# What the log has coloured is the level; here, of an appliance that cannot start.
echo 'not a vault' >"$work/file"
log="'$bin/hindsightd' --vault '$work/file' --state '$work/none'"
for command in "$timeline" "$log"; do
  what=$(cut -d "'" -f 2 <<<"$command")
  what=${what##*/}
  through=(terminal)
  TERM=xterm LC_ALL=C.UTF-8 has_colour yes "$what at a terminal" "$command"
  TERM=xterm NO_COLOR=1 LC_ALL=C.UTF-8 has_colour no "$what with NO_COLOR" "$command"
  TERM=xterm NO_COLOR='' has_colour yes "$what with an empty NO_COLOR" "$command"
  TERM=dumb has_colour no "$what at a terminal that has none" "$command"
  through=(pipe)
  TERM=xterm LC_ALL=C.UTF-8 has_colour no "$what into a pipe" "$command"
done
