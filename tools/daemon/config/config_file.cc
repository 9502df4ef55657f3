// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/config/config_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

namespace tools {

const char kConfigOverview[] =
    "The configuration of hindsightd. The environment has precedence over this file, and options "
    "over both; what none of them names is as `hindsightd --print-config` writes it. Files "
    "*.toml in hindsight.toml.d beside this one add to it: they are read after it, by their names, "
    "and the last to name a setting has it. Sizes take K, M, G and T, which are powers of 1024. "
    "SIGHUP has a running daemon read this again: it says what it applies, and what waits for its "
    "next start. `hindsightd --check-config` says what is wrong with it.";

namespace {

constexpr std::size_t kCommentColumns = 90;

class Reader {
 public:
  Reader(const std::string& name, Configuration& into) : name_(name), into_(into) {}

  void read(const toml::table& file) {
    for (const auto& [name, node] : file) {
      const std::string key(name.str());
      const toml::table* const table = node.as_table();
      const bool is_known_table =
          std::any_of(settings().begin(), settings().end(),
                      [&](const Setting& setting) { return setting.key.starts_with(key + "."); });
      const bool is_bare = table == nullptr || (table->empty() && !is_known_table);
      if (is_bare || find_setting(key) != nullptr) {
        take(key, node);
        continue;
      }
      for (const auto& [inner, value] : *table) take(fmt::format("{}.{}", key, inner.str()), value);
    }
  }
  void complain(const toml::source_region& where, const std::string& sentence) {
    complaints_.emplace_back(where.begin.line,
                             fmt::format("{}:{}: {}", name_, where.begin.line, sentence));
  }
  // In the order of the lines.
  std::vector<std::string> take_complaints() {
    std::stable_sort(complaints_.begin(), complaints_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<std::string> sentences;
    for (auto& [line, sentence] : complaints_) sentences.push_back(std::move(sentence));
    return sentences;
  }

 private:
  void take(const std::string& key, const toml::node& node) {
    const Setting* const setting = find_setting(key);
    if (setting == nullptr) {
      const std::string_view nearest = nearest_key(key);
      const std::string hint = nearest.empty() ? "" : fmt::format(": {} is one", nearest);
      return complain(node.source(), fmt::format("there is no setting {}{}", key, hint));
    }
    const std::optional<SettingValue> value = value_of(node);
    if (!value) {
      return complain(node.source(),
                      key + ": it is a text, a whole number, true, false, or a list of texts");
    }
    const cdp::Status taken = setting->set(into_, *value);
    if (!taken) complain(node.source(), fmt::format("{}: {}", key, taken.error().message));
  }

  static std::optional<SettingValue> value_of(const toml::node& node) {
    if (const auto flag = node.value_exact<bool>()) return *flag;
    if (const auto number = node.value_exact<std::int64_t>()) return *number;
    if (auto text = node.value_exact<std::string>()) return *std::move(text);
    const toml::array* const list = node.as_array();
    if (list == nullptr) return std::nullopt;
    std::vector<std::string> texts;
    for (const toml::node& each : *list) {
      auto text = each.value_exact<std::string>();
      if (!text) return std::nullopt;
      texts.push_back(*std::move(text));
    }
    return texts;
  }

  const std::string& name_;
  Configuration& into_;
  std::vector<std::pair<toml::source_index, std::string>> complaints_;
};

std::string quoted(const std::string& text) {
  constexpr toml::format_flags kOneQuoteMark =
      ~(toml::format_flags::allow_literal_strings | toml::format_flags::allow_multi_line_strings);
  std::ostringstream out;
  out << toml::toml_formatter{toml::value{text},
                              toml::toml_formatter::default_flags & kOneQuoteMark};
  return out.str();
}

// Broken into lines, each behind "# ".
std::string comment(std::string_view text) {
  std::string lines;
  std::string line = "#";
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (line.size() + 1 + word.size() > kCommentColumns) {
      lines += line + "\n";
      line = "#";
    }
    line += fmt::format(" {}", word);
  }
  return lines + line + "\n";
}

std::string entry(const Setting& setting, std::string_view name, const Configuration& of) {
  std::string text = comment(setting.meaning);
  text += "# " + setting.variable();
  if (!setting.option.empty()) text += fmt::format(" or {}", setting.option);
  if (setting.change == Setting::Change::kLive) text += "; applied by SIGHUP";
  // What nobody named follows what it depends on.
  const SettingValue in_force = setting.in_force(of);
  const bool is_named = in_force == setting.get(of);
  return text + fmt::format("\n{}{} = {}\n", is_named ? "" : "#", name, toml_text(in_force));
}

}  // namespace

// In one line, however long: what nobody named is written as a comment.
std::string toml_text(const SettingValue& value) {
  if (const auto* const text = std::get_if<std::string>(&value)) return quoted(*text);
  const auto* const texts = std::get_if<std::vector<std::string>>(&value);
  if (texts == nullptr) return to_text(value);
  std::string list;
  for (const std::string& text : *texts) list += (list.empty() ? "" : ", ") + quoted(text);
  return "[" + list + "]";
}

std::vector<std::string> read_config_text(std::string_view text, const std::string& name,
                                          Configuration& into) {
  if (text.size() > kConfigBytesMax) {
    return {fmt::format("{}: {} bytes are more than a configuration may have, which is {}", name,
                        text.size(), kConfigBytesMax)};
  }
  Reader reader(name, into);
  try {
    reader.read(toml::parse(text, name));
  } catch (const toml::parse_error& error) {
    reader.complain(error.source(), std::string(error.description()));
  }
  return reader.take_complaints();
}

std::string config_text(const Configuration& configuration) {
  std::string text = comment(kConfigOverview);
  std::string_view table;
  for (const Setting& setting : settings()) {
    const std::size_t dot = setting.key.find('.');
    const bool in_table = dot != std::string_view::npos;
    const std::string_view of = in_table ? setting.key.substr(0, dot) : std::string_view();
    text += '\n';
    if (of != table) text += fmt::format("[{}]\n", of);
    table = of;
    const std::string_view name = in_table ? setting.key.substr(dot + 1) : setting.key;
    text += entry(setting, name, configuration);
  }
  return text;
}

}  // namespace tools
