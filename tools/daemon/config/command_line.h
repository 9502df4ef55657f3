// SPDX-License-Identifier: Apache-2.0
//
// The command line of hindsightd, and the layers that make its configuration: defaults, the file,
// what stands in files *.toml in FILE.d, the environment, options; the later ones win.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/daemon/config/configuration.h"
#include "tools/daemon/config/settings.h"

namespace CLI {
class App;
}

namespace tools {

inline constexpr char kDefaultConfigPath[] = "/etc/hindsight/hindsight.toml";
inline constexpr char kAdditionsSuffix[] = ".d";

struct CommandLine {
  enum class Task { kServe, kPrintConfig, kCheckConfig };
  Task task = Task::kServe;
  std::string config_path;  // empty: kDefaultConfigPath, where there is one
  std::vector<std::pair<const Setting*, SettingValue>> given;
};

// Fills an empty `app` with every option: what is parsed, and what the manual is made of. `line`
// must outlive it.
void describe_command_line(CLI::App& app, CommandLine& line);

// Touches nothing. Ends the process for --help and --version (0) and for wrong usage (2, with one
// sentence on stderr).
CommandLine parse_command_line(int argc, char** argv);

// All layers. What is wrong comes back as sentences, and then `into` must not be used. May block.
std::vector<std::string> configure(const CommandLine& line, Configuration& into);

}  // namespace tools
