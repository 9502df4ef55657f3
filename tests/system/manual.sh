#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The manual and the completion as somebody meets them who installs them: man formats the pages without a warning, they
# name what --help names, and bash completes.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs man bash

manual=$bin/../manual
[ -e "$manual/hindsight.bash" ] || fail "no manual in $manual; build it with tools/build release"

# page NAME: its text as a terminal shows it, without what makes letters bold.
page() { LC_ALL=C.UTF-8 MANWIDTH=100 man -l -Tutf8 "$manual/$1" | col -b | tr -s ' '; }

# Both take a program, and words that lead to one of its verbs.
verbs_in_help_of() { "$@" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\)  .*/\1/p'; }
options_in_help_of() { "$@" --help | grep -oE '^ +(-., ?)?--[a-z-]+' | grep -oE -- '--[a-z-]+'; }

# has TEXT PATTERN WHAT: the text is named for messages by WHAT.
has() { grep -qE -- "$2" <<<"$1" || complain "$3 does not have /$2/"; }

say "man formats every page without a warning"
for name in hindsight.1 hindsightd.8 hindsight.toml.5; do
  man --warnings -E UTF-8 -l -Tutf8 -Z "$manual/$name" >/dev/null 2>"$work/warnings" || complain "man fails with $name"
  [ ! -s "$work/warnings" ] || complain "$name: $(head -n 5 "$work/warnings")"
done
printf '.TH x 1\n.SH NAME\nx \\- y\n.nosuchrequest\n' >"$work/bad.1"
man --warnings -E UTF-8 -l -Tutf8 -Z "$work/bad.1" 2>&1 >/dev/null | grep -q nosuchrequest ||
  fail "man does not warn of what is wrong"

say "hindsight(1) has every verb and option of --help"
text=$(page hindsight.1)
for section in NAME SYNOPSIS DESCRIPTION OPTIONS VERBS POINTS 'EXIT STATUS' ENVIRONMENT FILES EXAMPLES 'SEE ALSO'; do
  has "$text" "^$section\$" "hindsight.1"
done
verbs=0
check_verb() { # WORD...
  local option below verb="hindsight $*"
  verbs=$((verbs + 1))
  for option in $(options_in_help_of "$bin/hindsight" "$@"); do has "$text" "$option" "hindsight.1"; done
  below=$(verbs_in_help_of "$bin/hindsight" "$@")
  # What wants a verb behind it has no part of its own.
  if [ -z "$below" ] || [ "$*" = clone ]; then has "$text" "^ $verb\$" "hindsight.1"; fi
  for option in $below; do check_verb "$@" "$option"; done
}
for verb in $(verbs_in_help_of "$bin/hindsight"); do check_verb "$verb"; done
[ "$verbs" -ge 19 ] || fail "only $verbs verbs were found in --help"

say "hindsightd(8) has every option of --help, hindsight.toml(5) every setting of --print-config"
text=$(page hindsightd.8)
for option in $(options_in_help_of "$bin/hindsightd"); do has "$text" "$option" "hindsightd.8"; done
text=$(page hindsight.toml.5)
"$bin/hindsightd" --print-config | awk '
  /^\[/ { table = substr($1, 2, length($1) - 2) "." }
  /^#?[a-z_]+ = / { sub(/^#/, ""); print table $1 }' >"$work/settings"
[ "$(wc -l <"$work/settings")" -ge 11 ] || fail "--print-config has only $(wc -l <"$work/settings") settings"
while read -r setting; do has "$text" "^ $setting, " "hindsight.toml.5"; done <"$work/settings"

say "bash completes"
mkdir -p "$work/here/vault dir"
touch "$work/here/shop.img" "$work/here/socket"
# completed WORD...: what bash makes of these words, with the cursor behind the last, a blank between two.
completed() {
  (
    cd "$work/here" || exit
    # shellcheck disable=SC2016 # the inner bash expands it
    env -i PATH="$PATH" bash --norc --noprofile -u -c '
      . "$1"; shift
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
      function=$(complete -p "$1" | sed "s/.*-F \([^ ]*\).*/\1/")
      "$function" "$1" "${*: -1}" "${*: -2:1}"
      printf "%s\n" "${COMPREPLY[@]}" | sort | paste -sd " "' bash "$manual/hindsight.bash" "$@" 2>"$work/completion.err"
  )
  [ ! -s "$work/completion.err" ] || complain "completing '$*': $(cat "$work/completion.err")"
}
completes() { # EXPECTED WORD...
  local expected=$1 got
  shift
  got=$(completed "$@")
  [ "$got" = "$expected" ] || complain "'$*' completes to '$got', not '$expected'"
}
completes 'volume' hindsight vol
completes "$(verbs_in_help_of "$bin/hindsight" | sort | paste -sd ' ')" hindsight ''
completes "$(verbs_in_help_of "$bin/hindsight" volume | sort | paste -sd ' ')" hindsight volume ''
completes 'create' hindsight volume cr
completes 'remove' hindsight --json clone re
completes 'volume' hindsight --tz clone vol
completes 'volume' hindsight --server unix : /x vol
completes 'volume' hindsight --server = unix : /x vol
completes '--force --format' hindsight restore --f
completes '--json' hindsight restore --j
completes '--dry-run' hindsight rollback shop --at now --dr
completes 'shop.img socket vault dir' hindsight restore shop --to ''
completes 'shop.img' hindsight restore shop --to sh
completes 'shop.img' hindsight restore shop --to = sh
completes 'shop.img socket vault dir' hindsight restore shop --to =
completes 'vault dir' hindsight --vault ''
completes '' hindsight restore shop --at ''
completes 'https: unix:' hindsight --server ''
completes 'socket' hindsight --server unix : so
completes 'tcp: unix:' hindsightd --nbd ''
completes 'shop.img socket vault dir' hindsightd --nbd unix :
completes '' hindsightd --nbd tcp : so
completes 'shop.img' hindsightd --config sh
completes '--segment-size --state' hindsightd --s
