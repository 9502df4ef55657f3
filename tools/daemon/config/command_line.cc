// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/config/command_line.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>

#include "cdp/io/file_disk.h"
#include "tools/daemon/config/config_file.h"

namespace tools {
namespace {

constexpr int kWrongUsage = 2;
constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::size_t kAdditionsMax = 64;

constexpr char kFooter[] =
    "What no option says comes from the environment (HINDSIGHTD_...), then from the configuration\n"
    "file: --print-config writes one with every setting, its meaning and its default.\n"
    "\n"
    "Empty directories are initialised. The vault belongs on other disks than the volumes: what\n"
    "destroys one must not destroy the other.\n"
    "\n"
    "  hindsightd --vault /srv/vault --state /srv/hindsight\n"
    "  hindsight --server unix:/srv/hindsight/control.sock volume create shop --size 20G\n";

[[noreturn]] void refuse(const std::string& sentence) {
  std::cerr << "hindsightd: " << sentence << "; see hindsightd --help\n";
  std::exit(kWrongUsage);
}

// What is said outside of the file means a place as seen from here.
std::string from_here(const Setting& setting, const std::string& text) {
  const bool is_socket = text.starts_with(kUnixPrefix);
  if (!setting.is_path && !is_socket) return text;
  const std::string path = text.substr(is_socket ? kUnixPrefix.size() : 0);
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (path.empty() || error) return text;
  return (is_socket ? std::string(kUnixPrefix) : "") + absolute.string();
}

SettingValue from_here(const Setting& setting, SettingValue value) {
  if (auto* const text = std::get_if<std::string>(&value)) return from_here(setting, *text);
  if (auto* const texts = std::get_if<std::vector<std::string>>(&value)) {
    for (std::string& text : *texts) text = from_here(setting, text);
  }
  return value;
}

void add_option(CLI::App& app, const Setting& setting, CommandLine& line) {
  const std::string name(setting.option);
  const std::string_view sentence = setting.meaning.substr(0, setting.meaning.find(". "));
  const std::string meaning(sentence.substr(0, sentence.find_last_not_of('.') + 1));
  const auto take = [&setting, &line](SettingValue value) {
    line.given.emplace_back(&setting, from_here(setting, std::move(value)));
  };
  switch (setting.kind) {
    case Setting::Kind::kFlag:
      app.add_flag_callback(
          name, [take] { take(true); }, meaning);
      return;
    case Setting::Kind::kSeveral:
      app.add_option_function<std::vector<std::string>>(
             name, [take](const std::vector<std::string>& texts) { take(texts); },
             meaning + " (may be given again)")
          ->type_name(std::string(setting.value_name))
          ->type_size(1)
          ->allow_extra_args(false);
      return;
    case Setting::Kind::kOne:
      app.add_option_function<std::string>(
             name, [take](const std::string& text) { take(text); }, meaning)
          ->type_name(std::string(setting.value_name))
          ->default_str(to_text(setting.get({})));
      return;
  }
}

// Up to one byte more than a configuration may have.
cdp::Result<std::string> read_file(const std::string& path) {
  const cdp::FileDescriptor fd{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd.valid()) return cdp::errno_error(errno, "opening the configuration " + path);
  std::string text(kConfigBytesMax + 1, '\0');
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const ssize_t got = read(fd.get(), text.data() + bytes, text.size() - bytes);
    if (got < 0) return cdp::errno_error(errno, "reading the configuration " + path);
    if (got == 0) break;
    bytes += static_cast<std::size_t>(got);
  }
  text.resize(bytes);
  return text;
}

// The files PATH.d/*.toml in the order of their names; none where there is no such directory.
cdp::Result<std::vector<std::string>> additions_to(const std::string& path) {
  const std::string directory = path + kAdditionsSuffix;
  std::vector<std::string> files;
  std::error_code error;
  for (std::filesystem::directory_iterator each(directory, error);
       !error && each != std::filesystem::directory_iterator(); each.increment(error)) {
    const std::filesystem::path& file = each->path();
    // What editors and package managers leave beside a file is none.
    if (file.extension() != ".toml" || file.filename().string().starts_with('.')) continue;
    files.push_back(file.string());
  }
  if (error && error.value() != ENOENT)
    return cdp::errno_error(error.value(), "reading the directory " + directory);
  if (files.size() > kAdditionsMax) {
    return cdp::make_error(E2BIG, "{} has {} files *.toml, and may have {}", directory,
                           files.size(), kAdditionsMax);
  }
  std::sort(files.begin(), files.end());
  return files;
}

void take_files(const CommandLine& line, Configuration& into, std::vector<std::string>& wrong) {
  const bool is_named = !line.config_path.empty();
  const std::string path = is_named ? line.config_path : kDefaultConfigPath;
  const auto take = [&](const std::string& file, bool must_be_there) {
    const cdp::Result<std::string> text = read_file(file);
    if (!text.ok()) {
      if (must_be_there || text.error().code != ENOENT) wrong.push_back(text.error().message);
      return;
    }
    std::vector<std::string> of_file = read_config_text(*text, file, into);
    std::move(of_file.begin(), of_file.end(), std::back_inserter(wrong));
  };
  take(path, is_named);
  const cdp::Result<std::vector<std::string>> additions = additions_to(path);
  if (!additions.ok()) return wrong.push_back(additions.error().message);
  for (const std::string& addition : *additions) take(addition, true);
}

void take_environment(Configuration& into, std::vector<std::string>& wrong) {
  std::map<std::string, const Setting*> by_variable;
  for (const Setting& setting : settings()) by_variable[setting.variable()] = &setting;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!text.starts_with(kVariablePrefix)) continue;
    const std::string name = text.substr(0, text.find('='));
    const auto found = by_variable.find(name);
    if (found == by_variable.end()) {
      wrong.push_back(fmt::format("{}: there is no such setting; see --print-config", name));
      continue;
    }
    const Setting& setting = *found->second;
    SettingValue said = value_of_text(setting, text.substr(name.size() + 1));
    const cdp::Status taken = setting.set(into, from_here(setting, std::move(said)));
    if (!taken) wrong.push_back(fmt::format("{}: {}", name, taken.error().message));
  }
}

}  // namespace

void describe_command_line(CLI::App& app, CommandLine& line) {
  app.description(
      "hindsightd serves block volumes over NBD and keeps every write, so that any second can be\n"
      "had back. It runs in the foreground, logs to stderr and stops on SIGTERM or SIGINT.");
  app.footer(kFooter);
  app.set_version_flag("--version", "hindsightd " HINDSIGHT_VERSION);
  app.get_formatter()->column_width(34);
  app.add_option("--config", line.config_path, "Configuration file")
      ->type_name("FILE")
      ->default_str(kDefaultConfigPath);
  auto* const print = app.add_flag_callback(
      "--print-config", [&line] { line.task = CommandLine::Task::kPrintConfig; },
      "Write a configuration file with every default, and end");
  app.add_flag_callback(
         "--check-config", [&line] { line.task = CommandLine::Task::kCheckConfig; },
         "Say what is wrong with the configuration, and end")
      ->excludes(print);
  for (const Setting& setting : settings()) {
    if (!setting.option.empty()) add_option(app, setting, line);
  }
}

CommandLine parse_command_line(int argc, char** argv) {
  CommandLine line;
  CLI::App app;
  describe_command_line(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    std::exit(app.exit(done));
  } catch (const CLI::ParseError& error) {
    refuse(error.what());
  }
  return line;
}

std::vector<std::string> configure(const CommandLine& line, Configuration& into) {
  into = {};
  std::vector<std::string> wrong;
  take_files(line, into, wrong);
  take_environment(into, wrong);
  for (const auto& [setting, value] : line.given) {
    const cdp::Status taken = setting->set(into, value);
    if (!taken) wrong.push_back(fmt::format("{}: {}", setting->option, taken.error().message));
  }
  return wrong.empty() ? contradictions(into) : wrong;
}

}  // namespace tools
