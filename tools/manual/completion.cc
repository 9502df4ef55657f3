// SPDX-License-Identifier: Apache-2.0
#include "tools/manual/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tools/manual/grammar.h"

namespace tools::manual {
namespace {

constexpr char kHead[] = R"bash(# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of hindsight and hindsightd, made of what they parse their command lines by.

# Sets what can stand behind the verb $1: `verbs` below it, `options`, and `values`, which says of
# each option that takes a value what that can be.
_hindsight_words() {
  case $1 in
)bash";

constexpr char kTail[] = R"bash(  esac
}

# Sets `kind` to what the value of option $1 can be; fails where it takes none.
_hindsight_value() {
  local entry
  for entry in $values; do
    kind=${entry#*=}
    if [[ $entry == "$1=$kind" ]]; then return 0; fi
  done
  return 1
}

# Completes $2 as names of files (-f) or directories (-d).
_hindsight_paths() {
  mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
  compopt -o filenames 2>/dev/null
}

_hindsight_complete() {
  local IFS=$' \t\n' verbs='' options='' values='' kind path=$1 scheme='' word at
  COMPREPLY=()
  _hindsight_words "$path"
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=${COMP_WORDS[at]}
    if _hindsight_value "$word"; then
      if [[ ${COMP_WORDS[at + 1]} == = ]]; then at=$((at + 1)); fi
      at=$((at + 1))
    elif [[ $word && " $verbs " == *" $word "* ]]; then
      path+=" $word"
      _hindsight_words "$path"
    fi
  done

  # Bash takes "--to=x" and "unix:x" for three words each.
  word=${COMP_WORDS[COMP_CWORD]}
  at=$COMP_CWORD
  if [[ $word == [=:] ]]; then word=''; else at=$((at - 1)); fi
  if [[ ${COMP_WORDS[at]} == : && at -ge 2 ]]; then
    scheme=${COMP_WORDS[at - 1]}:
    at=$((at - 2))
  fi
  if [[ ${COMP_WORDS[at]} == = ]]; then at=$((at - 1)); fi

  if _hindsight_value "${COMP_WORDS[at]}"; then
    case $kind in
      any) ;;
      file) _hindsight_paths -f "$word" ;;
      directory) _hindsight_paths -d "$word" ;;
      *)
        if [[ $scheme == unix: ]]; then
          _hindsight_paths -f "$word"
        elif [[ ! $scheme ]]; then
          mapfile -t COMPREPLY < <(compgen -W "${kind//,/ }" -- "$word")
          compopt -o nospace 2>/dev/null
        fi
        ;;
    esac
  elif [[ $word == -* || ! $verbs ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  else
    mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word")
  fi
}
)bash";

constexpr char kProgram[] = R"bash(
_{0}() {{ _hindsight_complete {0}; }}
complete -F _{0} {0}
)bash";

constexpr char kWordsOfVerb[] = R"bash(    '{}')
      verbs='{}'
      options='{}'
      values='{}'
      ;;
)bash";

// Options of the program stand behind its verbs, too.
std::vector<const CLI::Option*> options_behind(const CLI::App& verb, const CLI::App& program) {
  std::vector<const CLI::Option*> options = options_of(verb);
  if (&verb == &program || !verb.get_fallthrough()) return options;
  for (const CLI::Option* option : options_of(program)) {
    if (option != program.get_help_ptr()) options.push_back(option);
  }
  return options;
}

std::string words_of(const Verb& verb, const CLI::App& program) {
  std::vector<std::string> verbs;
  for (const CLI::App* below : sub_verbs(*verb.app)) verbs.push_back(below->get_name());
  std::vector<std::string> options;
  std::vector<std::string> values;
  for (const CLI::Option* option : options_behind(*verb.app, program)) {
    for (const std::string& name : names_of(*option)) {
      options.push_back(name);
      if (!takes_value(*option)) continue;
      values.push_back(fmt::format("{}={}", name, completed_as(option->get_type_name())));
    }
  }
  return fmt::format(kWordsOfVerb, verb.words, fmt::join(verbs, " "), fmt::join(options, " "),
                     fmt::join(values, " "));
}

}  // namespace

std::string completed_as(std::string_view type_name) {
  std::vector<std::string_view> beginnings;
  while (!type_name.empty()) {
    const std::string_view one = type_name.substr(0, type_name.find('|'));
    type_name.remove_prefix(std::min(type_name.size(), one.size() + 1));
    if (one == "FILE" || one == "PATH" || one == "DEVICE") return "file";
    if (one == "DIR") return "directory";
    if (const std::size_t colon = one.find(':'); colon != one.npos) {
      beginnings.push_back(one.substr(0, colon + 1));
    }
  }
  return beginnings.empty() ? "any" : fmt::format("{}", fmt::join(beginnings, ","));
}

std::string bash_completion(const std::vector<const CLI::App*>& programs) {
  std::string script = kHead;
  for (const CLI::App* program : programs) {
    for (const Verb& verb : all_verbs(*program)) script += words_of(verb, *program);
  }
  script += kTail;
  for (const CLI::App* program : programs) script += fmt::format(kProgram, program->get_name());
  return script;
}

}  // namespace tools::manual
