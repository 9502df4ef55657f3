// SPDX-License-Identifier: Apache-2.0
//
// The configuration file: TOML, checked strictly by the list of settings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/daemon/config/configuration.h"
#include "tools/daemon/config/settings.h"

namespace tools {

// Some eight times what --print-config writes. It bounds the stack, too: a key of "a.a.a." and so
// on takes toml++ some 256 bytes of it a level.
inline constexpr std::size_t kConfigBytesMax = 16u << 10;

// Takes what the text says into `into`; what is wrong with it comes back as sentences, each with
// its line, and then `into` must not be used. `name` is the file's, for them.
std::vector<std::string> read_config_text(std::string_view text, const std::string& name,
                                          Configuration& into);

// What there is to know about the file as a whole, as its comment and in the manual.
extern const char kConfigOverview[];

// A value as the file has it: "64M", ["one", "another"].
std::string toml_text(const SettingValue& value);

// A file with every setting, its meaning and its value in `configuration`.
std::string config_text(const Configuration& configuration);

}  // namespace tools
