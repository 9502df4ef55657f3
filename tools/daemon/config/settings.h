// SPDX-License-Identifier: Apache-2.0
//
// What hindsightd can be told, an entry a setting: its key in the configuration file, its option,
// what it means and what is possible. The file, the environment, the options, --help,
// --print-config and SIGHUP all go by this one list.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cdp/base/result.h"
#include "tools/daemon/config/configuration.h"

namespace tools {

// As it is given: in a file of any of these types, elsewhere as texts.
using SettingValue = std::variant<bool, std::int64_t, std::string, std::vector<std::string>>;

inline constexpr std::string_view kVariablePrefix = "HINDSIGHTD_";

struct Setting {
  enum class Kind { kFlag, kOne, kSeveral };
  enum class Change { kAtStart, kLive };  // kLive: a running daemon takes it by SIGHUP

  std::string_view key;  // "journal.segment_size"
  Kind kind = Kind::kOne;
  // EINVAL says what is wrong with the value, in a sentence that goes behind the setting's name.
  std::function<cdp::Status(Configuration&, const SettingValue&)> set;
  // A value that `set` takes; an empty one where nobody named what depends on other settings.
  std::function<SettingValue(const Configuration&)> get;
  // The same, or what it is then.
  std::function<SettingValue(const Configuration&)> in_force;

  std::string_view option{};      // "--segment-size"; empty where there is none
  std::string_view value_name{};  // of the option: "SIZE"
  std::string_view meaning{};     // a sentence or two
  Change change = Change::kAtStart;
  bool is_secret = false;  // no log shows it
  bool is_path = false;    // outside of the file it may be relative to the working directory

  // Of the environment: HINDSIGHTD_JOURNAL_SEGMENT_SIZE.
  std::string variable() const;
};

const std::vector<Setting>& settings();
// Null where there is none.
const Setting* find_setting(std::string_view key);
// The key that somebody may have meant who wrote `wrong`; empty where none is near.
std::string_view nearest_key(std::string_view wrong);
// As a text of the environment says it: a flag is true or false, commas stand between several.
SettingValue value_of_text(const Setting& setting, const std::string& text);
// "90s", "30m" or "2h"; EINVAL for anything else.
cdp::Result<cdp::Nanos> parse_length(std::string_view text);
// As people read it: 64M, true; commas between several.
std::string to_text(const SettingValue& value);

}  // namespace tools
