// SPDX-License-Identifier: Apache-2.0
#include "tools/manual/command_pages.h"

#include <utility>
#include <vector>

#include "tools/daemon/config/configuration.h"
#include "tools/daemon/config/settings.h"
#include "tools/manual/grammar.h"
#include "tools/manual/help_text.h"
#include "tools/manual/page_parts.h"
#include "tools/manual/roff.h"
#include "tools/tls/certificate_authority.h"

namespace tools::manual {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

// --- What both programs have --------------------------------------------------------------------

// Where no line may be broken.
Markup joining_blank() { return {"\\ "}; }

// The names that an option has, and its value: "--at POINT".
Markup option_words(const CLI::Option& option) {
  Markup words;
  for (const std::string& name : names_of(option)) {
    words += plain(words.roff.empty() ? "" : ", ") + bold(name);
  }
  if (takes_value(option)) words += joining_blank() + italic(option.get_type_name());
  return words;
}

Markup in_synopsis(const CLI::Option& argument, const Markup& words) {
  const Markup shown = argument.get_required() ? words : plain("[") + words + plain("]");
  return plain(" ") + shown + plain(takes_many(argument) ? "..." : "");
}

// How a verb is said. What help on it is got with is said once, for all of them.
Markup synopsis(const Verb& verb) {
  Markup words = bold(verb.words);
  for (const CLI::Option* argument : positionals_of(*verb.app)) {
    words += in_synopsis(*argument, italic(argument->get_name(true)));
  }
  for (const CLI::Option* option : options_of(*verb.app)) {
    if (option == verb.app->get_help_ptr() || option == verb.app->get_version_ptr()) continue;
    words += in_synopsis(*option, option_words(*option));
  }
  return words;
}

Markup explanation(const CLI::Option& option) {
  Markup text = sentence(option.get_description());
  if (!option.get_default_str().empty()) {
    text += plain(" Default: ") + bold(option.get_default_str()) + plain(".");
  }
  if (!option.get_envname().empty()) {
    text += plain(" Environment: ") + bold(option.get_envname()) + plain(".");
  }
  for (const CLI::Option* other : option.get_excludes()) {
    text += plain(" Not together with ") + bold(other->get_name()) + plain(".");
  }
  return text;
}

void show_options(const CLI::App& verb, RoffPage& page) {
  for (const CLI::Option* option : options_of(verb)) {
    page.term(option_words(*option), {explanation(*option)});
  }
}

// What whatis(1) says: the first sentence of the description, which begins with the name.
void show_name(const CLI::App& program, RoffPage& page) {
  const std::string description = program.get_description();
  const std::string first = description.substr(0, description.find('.'));
  page.section("NAME");
  page.paragraph(plain(program.get_name()) + Markup{" \\- "} +
                 plain(first.substr(first.find(' ') + 1)));
}

std::string path_of(const std::string& address) {
  return address.starts_with(kUnixPrefix) ? address.substr(kUnixPrefix.size()) : address;
}

// --- hindsight(1) -------------------------------------------------------------------------------

// What a verb has to say by itself: CLI11 gives those below it the same footer, and what a point is
// has a section of its own.
std::string own_footer(const CLI::App& verb) {
  std::string footer = verb.get_footer();
  if (footer == verb.get_parent()->get_footer()) return {};
  const std::size_t at = footer.find(cli::kPointsHelp);
  if (at != footer.npos) footer.erase(at);
  return footer;
}

void show_verb(const Verb& verb, RoffPage& page) {
  page.subsection(verb.words);
  page.paragraph(synopsis(verb));
  page.paragraph(sentence(verb.app->get_description()));
  for (const CLI::Option* argument : positionals_of(*verb.app)) {
    page.term(italic(argument->get_name(true)), {sentence(argument->get_description())});
  }
  for (const CLI::Option* option : options_of(*verb.app)) {
    if (option == verb.app->get_help_ptr()) continue;
    page.term(option_words(*option), {explanation(*option)});
  }
  show_all(own_footer(*verb.app), page);
}

void show_environment(const CLI::App& hindsight, RoffPage& page) {
  page.section("ENVIRONMENT");
  for (const CLI::Option* option : options_of(hindsight)) {
    if (option->get_envname().empty()) continue;
    page.term(bold(option->get_envname()), {plain("The value of ") + bold(option->get_name()) +
                                            plain(" where that is not given.")});
  }
  page.term(bold(cli::kTokenVariable),
            {plain("A token to show the daemon, in the place of the one of ") + bold("login") +
             plain(", such as ") + bold("token create") + plain(" prints.")});
  page.term(bold("TZ"),
            {plain("The local zone, of times without an offset and of what is printed, where ") +
             bold("--tz") + plain(" is not given.")});
}

std::vector<Example> course_of_an_incident() {
  return {
      {"Protect a volume, and name the point before something is done to it:",
       {"hindsight volume create shop --size 20G", "hindsight mark shop before-upgrade"}},
      {"Look at it as it was, while it goes on as it is:",
       {"hindsight points shop --at \"5 minutes ago\"",
        "hindsight diff shop --from mark:before-upgrade --to now",
        "hindsight view shop --at \"5 minutes ago\""}},
      {"Have it back, beside the live volume or in its place:",
       {"hindsight recover shop --at \"yesterday 18:56\" --as shop-recovered",
        "hindsight rollback shop --at mark:before-upgrade --dry-run",
        "hindsight rollback shop --at mark:before-upgrade"}},
      {"When the appliance is lost, the directory of its vault is enough:",
       {"hindsight --vault /srv/vault restore shop --at now --to shop.img"}},
  };
}

// --- hindsightd(8) ------------------------------------------------------------------------------

void show_signals(RoffPage& page) {
  page.section("SIGNALS");
  page.term(bold("SIGTERM") + plain(", ") + bold("SIGINT"),
            {plain("What was written is made durable, and the daemon ends.")});
  page.term(bold("SIGHUP"),
            {plain("The configuration is read again: what can change in a running daemon is "
                   "applied, and the log says what waits for the next start. Where something is "
                   "wrong with it, all stays as it was.")});
}

void show_daemon_exit_codes(RoffPage& page) {
  page.section("EXIT STATUS");
  page.term(bold("0"), {plain("It was stopped by a signal, or did what an option asked for.")});
  page.term(bold("1"), {plain("It could not start or go on; the log says why.")});
  page.term(bold("2"), {plain("Wrong usage, or a configuration that is wrong; said on standard "
                              "error before anything is made.")});
}

void show_variables(RoffPage& page) {
  page.section("ENVIRONMENT");
  for (const Setting& setting : settings()) {
    page.term(bold(setting.variable()),
              {bold(setting.key) + plain(" of ") + reference({"hindsight.toml", 5}) + plain(".")});
  }
  page.paragraph(plain("A flag is true or false; commas stand between several values. A variable "
                       "that begins with ") +
                 bold(kVariablePrefix) + plain(" and is none of these stops the daemon."));
}

void show_files(RoffPage& page) {
  const Configuration standard;
  page.section("FILES");
  page.term(bold(kDefaultConfigPath),
            {plain("The configuration, see ") + reference({"hindsight.toml", 5}) + plain(".")});
  page.term(bold(std::string(kDefaultConfigPath) + kAdditionsSuffix + "/*.toml"),
            {plain("What adds to it, file by file.")});
  page.term(bold(standard.vault), {prose(find_setting("vault")->meaning)});
  page.term(bold(standard.state), {prose(find_setting("state")->meaning)});
  for (const std::string& address : standard.nbd_listeners()) {
    page.term(bold(path_of(address)), {plain("The socket of NBD.")});
  }
  page.term(
      bold(path_of(standard.control_listener())),
      {plain("The control socket, which ") + reference({"hindsight", 1}) + plain(" speaks to.")});
}

}  // namespace

std::string client_page(const CLI::App& hindsight) {
  RoffPage page(hindsight.get_name(), 1, hindsight.version());
  show_name(hindsight, page);
  page.section("SYNOPSIS");
  page.paragraph(synopsis({hindsight.get_name(), &hindsight}) + plain(" ") + italic("VERB") +
                 plain(" [") + italic("ARGUMENT") + plain("]..."));
  page.section("DESCRIPTION");
  show_all(hindsight.get_description(), page);
  page.section("OPTIONS");
  page.paragraph(plain("They stand before the verb or behind it."));
  show_options(hindsight, page);
  page.section("VERBS");
  for (const Verb& verb : all_verbs(hindsight)) {
    if (verb.app != &hindsight && is_complete(*verb.app)) show_verb(verb, page);
  }
  page.section("POINTS");
  show_all(cli::kPointsHelp, page);
  page.section("EXIT STATUS");
  show_all(cli::kExitCodes, page);
  show_environment(hindsight, page);
  page.section("FILES");
  page.term(bold(path_of(Configuration{}.control_listener())),
            {plain("The socket of the daemon that is asked where no other is named.")});
  page.term(bold("~/.config/hindsight/credentials.json"),
            {plain("What ") + bold("login") +
             plain(" got, by server; one that other users can read is refused. ") +
             bold("$XDG_CONFIG_HOME") + plain(" may name another directory than ") +
             bold("~/.config") + plain(".")});
  page.term(bold(tls::kDefaultDirectory), {plain("The appliance's CA, and the certificates that ") +
                                           bold("tls") + plain(" makes.")});
  examples(course_of_an_incident(), page);
  see_also({{"hindsightd", 8},
            {"hindsight.toml", 5},
            {"nbdcopy", 1},
            {"nbd-client", 8},
            {"qemu-img", 1}},
           page);
  return page.text();
}

std::string daemon_page(const CLI::App& hindsightd) {
  RoffPage page(hindsightd.get_name(), 8, hindsightd.version());
  show_name(hindsightd, page);
  page.section("SYNOPSIS");
  page.paragraph(synopsis({hindsightd.get_name(), &hindsightd}));
  page.section("DESCRIPTION");
  show_all(hindsightd.get_description(), page);
  std::vector<Example> shown_below;
  for (TextBlock& block : blocks_of(hindsightd.get_footer())) {
    if (block.kind == TextBlock::Kind::kExample) {
      shown_below.push_back({"", std::move(block.lines)});
    } else {
      show(block, page);
    }
  }
  page.section("OPTIONS");
  show_options(hindsightd, page);
  show_signals(page);
  show_daemon_exit_codes(page);
  show_variables(page);
  show_files(page);
  examples(shown_below, page);
  see_also({{"hindsight", 1}, {"hindsight.toml", 5}, {"nbd-client", 8}, {"nbdfuse", 1}}, page);
  return page.text();
}

}  // namespace tools::manual
