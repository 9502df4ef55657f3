// SPDX-License-Identifier: Apache-2.0
#include "tools/manual/grammar.h"

namespace tools::manual {
namespace {

void add_with_those_below(const std::string& words, const CLI::App& app, std::vector<Verb>& verbs) {
  verbs.push_back({words, &app});
  for (const CLI::App* below : sub_verbs(app)) {
    add_with_those_below(words + " " + below->get_name(), *below, verbs);
  }
}

}  // namespace

std::vector<Verb> all_verbs(const CLI::App& program) {
  std::vector<Verb> verbs;
  add_with_those_below(program.get_name(), program, verbs);
  return verbs;
}

std::vector<const CLI::App*> sub_verbs(const CLI::App& verb) {
  return verb.get_subcommands([](const CLI::App*) { return true; });
}

bool is_complete(const CLI::App& verb) { return verb.get_require_subcommand_min() == 0; }

std::vector<const CLI::Option*> options_of(const CLI::App& verb) {
  return verb.get_options([](const CLI::Option* option) { return option->nonpositional(); });
}

std::vector<const CLI::Option*> positionals_of(const CLI::App& verb) {
  return verb.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() != 0; }

bool takes_many(const CLI::Option& option) {
  return option.get_expected_max() >= CLI::detail::expected_max_vector_size;
}

}  // namespace tools::manual
