// SPDX-License-Identifier: Apache-2.0
#include "tools/manual/settings_page.h"

#include <algorithm>
#include <vector>

#include "tools/daemon/config/command_line.h"
#include "tools/daemon/config/config_file.h"
#include "tools/daemon/config/settings.h"
#include "tools/manual/page_parts.h"
#include "tools/manual/roff.h"

namespace tools::manual {
namespace {

std::string_view type_of(const Setting& setting) {
  switch (setting.kind) {
    case Setting::Kind::kFlag:
      return "true or false";
    case Setting::Kind::kSeveral:
      return "a list of texts";
    case Setting::Kind::kOne:
      return setting.value_name == "SIZE" ? "a size, or a whole number of bytes" : "a text";
  }
  return {};
}

Markup option_of(const Setting& setting) {
  if (setting.option.empty()) return plain("none");
  Markup option;
  for (std::string_view names = setting.option; !names.empty();) {
    const std::string_view name = names.substr(0, names.find(','));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    option += plain(option.roff.empty() ? "" : ", ") + bold(name);
  }
  if (setting.value_name.empty()) return option;
  return option + plain(" ") + italic(setting.value_name);
}

void show_setting(const Setting& setting, RoffPage& page) {
  const bool is_live = setting.change == Setting::Change::kLive;
  page.term(
      bold(setting.key) + plain(", ") + plain(type_of(setting)),
      {prose(setting.meaning), plain("Default: ") + bold(toml_text(setting.in_force({}))),
       plain("Environment: ") + bold(setting.variable()), plain("Option: ") + option_of(setting),
       plain("A change is applied ") +
           (is_live ? plain("by ") + bold("SIGHUP") : plain("at the next start"))});
}

std::vector<Example> example_files() {
  return {{"",
           {"vault = \"/srv/vault\"", "state = \"/srv/hindsight\"",
            "allowed_paths = [\"/srv/disks\", \"/dev/vg0\"]", "", "[nbd]",
            "listen = [\"unix:/srv/hindsight/nbd.sock\", \"tcp:127.0.0.1:10809\"]", "",
            "[hydration]", "rate = \"200M\""}}};
}

}  // namespace

std::string settings_page(std::string_view release) {
  RoffPage page("hindsight.toml", 5, release);
  page.section("NAME");
  page.paragraph(plain("hindsight.toml") + Markup{" \\- "} + plain("configuration of hindsightd"));
  page.section("SYNOPSIS");
  page.paragraph(bold(kDefaultConfigPath));
  page.section("DESCRIPTION");
  page.paragraph(prose(kConfigOverview));
  page.paragraph(plain("It is written in TOML. What stands before a dot in the name of a setting "
                       "is its table: ") +
                 bold("journal.segment_size") + plain(" is ") + bold("segment_size") +
                 plain(" below a line ") + bold("[journal]") + plain("."));
  page.section("SETTINGS");
  for (const Setting& setting : settings()) show_setting(setting, page);
  examples(example_files(), page);
  see_also({{"hindsightd", 8}, {"hindsight", 1}}, page);
  return page.text();
}

}  // namespace tools::manual
