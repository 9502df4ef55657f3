// SPDX-License-Identifier: Apache-2.0
//
// The command lines of both programs as they are parsed, to be walked: what the manual and the
// completion are made of, so that they say what --help says.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "tools/cli/command_line.h"
#include "tools/daemon/config/command_line.h"

namespace tools::manual {

// Each holds what its `app` would parse into. Nothing is parsed.
struct ClientGrammar {
  ClientGrammar() { cli::describe_command_line(app, line, words); }
  cli::CommandLine line;
  cli::UncheckedWords words;
  CLI::App app;
};

struct DaemonGrammar {
  DaemonGrammar() {
    describe_command_line(app, line);
    app.name("hindsightd");  // which is otherwise known from how it was started
  }
  CommandLine line;
  CLI::App app;
};

struct Verb {
  std::string words;  // all that lead to it: "hindsight volume create"
  const CLI::App* app;
};

// The program itself, and then every verb below it, each before its own.
std::vector<Verb> all_verbs(const CLI::App& program);
std::vector<const CLI::App*> sub_verbs(const CLI::App& verb);
// Without a verb below it.
bool is_complete(const CLI::App& verb);

// In the order of --help, with --help among them.
std::vector<const CLI::Option*> options_of(const CLI::App& verb);
std::vector<const CLI::Option*> positionals_of(const CLI::App& verb);
// As they are said, the short ones first: "-v", "--verbose".
std::vector<std::string> names_of(const CLI::Option& option);
bool takes_value(const CLI::Option& option);
// As often as one likes.
bool takes_many(const CLI::Option& option);

}  // namespace tools::manual
