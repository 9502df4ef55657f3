// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/daemon/config/config_file.h"
#include "tools/daemon/config/settings.h"
#include "tools/manual/command_pages.h"
#include "tools/manual/completion.h"
#include "tools/manual/grammar.h"
#include "tools/manual/help_text.h"
#include "tools/manual/roff.h"
#include "tools/manual/settings_page.h"

namespace tools::manual {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Kind = TextBlock::Kind;

// What stands on a page behind a heading, up to the next one.
std::string part_behind(const std::string& page, const std::string& heading) {
  const std::size_t at = page.find(heading + "\n");
  if (at == page.npos) return {};
  const std::size_t end = page.find("\n.S", at + 1);
  return page.substr(at, end - at);
}

std::string unescaped(std::string text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kEscapes = {{
      {"\\&", ""},
      {"\\-", "-"},
      {"\\(aq", "'"},
      {"\\(ga", "`"},
      {"\\(ha", "^"},
      {"\\(ti", "~"},
      {"\\(dq", "\""},
      {"\\(rs", "\\"},
  }};
  for (const auto& [escape, character] : kEscapes) {
    for (std::size_t at = 0; (at = text.find(escape, at)) != text.npos; at += character.size()) {
      text.replace(at, escape.size(), character);
    }
  }
  return text;
}

// The texts that keep their line breaks.
std::vector<std::string> examples_of(const std::string& page) {
  std::vector<std::string> examples;
  std::istringstream lines(page);
  bool is_within = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == ".nf") {
      is_within = true;
      examples.emplace_back();
    } else if (line == ".fi") {
      is_within = false;
    } else if (is_within) {
      examples.back() += unescaped(line) + "\n";
    }
  }
  return examples;
}

TEST(Roff, EveryCharacterStandsForItself) {
  EXPECT_EQ(plain("a-b").roff, "a\\-b");
  EXPECT_EQ(plain("\\n").roff, "\\(rsn");
  EXPECT_EQ(plain("'it' \"is\" `so` ~^").roff, "\\(aqit\\(aq \\(dqis\\(dq \\(gaso\\(ga \\(ti\\(ha");
  EXPECT_EQ(plain("one\ntwo").roff, "one two");
  EXPECT_EQ(bold("--at").roff, "\\fB\\-\\-at\\fR");
  EXPECT_EQ(italic("A\\B").roff, "\\fIA\\(rsB\\fR");
}

TEST(Roff, WhatStandsBetweenBackquotesIsBold) {
  EXPECT_EQ(prose("say `a b` or `c`.").roff, "say \\fBa b\\fR or \\fBc\\fR.");
  EXPECT_EQ(prose("one ` alone").roff, "one \\(ga alone");
}

TEST(Roff, NoTextIsTakenForARequest) {
  RoffPage page("p", 1, "");
  page.paragraph(plain(".sh evil"));
  page.paragraph(plain("'br"));
  page.term(plain(".x"), {plain(".y")});
  page.example({".dot", "", "'apostrophe", "\\fBslash", "a"});
  EXPECT_THAT(page.text(), HasSubstr("\n.PP\n\\&.sh evil\n.PP\n\\(aqbr\n.TP\n\\&.x\n\\&.y\n"));
  EXPECT_THAT(page.text(),
              HasSubstr("\n.nf\n\\&.dot\n\\&\n\\(aqapostrophe\n\\(rsfBslash\na\n.fi\n"));
}

TEST(Roff, AHeadingIsOneArgument) {
  RoffPage page("p", 1, "");
  page.section("SEE \"ALSO\"");
  EXPECT_THAT(page.text(), HasSubstr("\n.SH \"SEE \\(dqALSO\\(dq\"\n"));
}

TEST(HelpText, ProseExamplesAndTermsAreToldApart) {
  EXPECT_THAT(
      blocks_of("One\ntwo.\nExamples: a --x\n          b\n\nPOINT is\n  now  first   an end\n"
                "  lsn:1\nMore.\n\n  c\n    d\n"),
      ElementsAre(TextBlock{Kind::kProse, {"One", "two."}},
                  TextBlock{Kind::kExample, {"a --x", "b"}}, TextBlock{Kind::kProse, {"POINT is"}},
                  TextBlock{Kind::kTerms, {"now  first   an end", "lsn:1"}},
                  TextBlock{Kind::kProse, {"More."}}, TextBlock{Kind::kExample, {"c", "  d"}}));
  EXPECT_THAT(blocks_of(""), ElementsAre());
}

TEST(HelpText, ATermIsWhatIsBeforeTheLastGap) {
  RoffPage page("p", 1, "");
  show_all("  now  first   an end\n  lsn:1\n", page);
  EXPECT_THAT(page.text(), HasSubstr("\n.TP\n\\fBnow  first\\fR\nan end\n.TP\n\\fBlsn:1\\fR\n"));
}

TEST(Grammar, EveryVerbIsMetWithItsWords) {
  const ClientGrammar client;
  std::vector<std::string> words;
  for (const Verb& verb : all_verbs(client.app)) words.push_back(verb.words);
  EXPECT_EQ(words.front(), "hindsight");
  for (const char* known : {"hindsight volume", "hindsight volume create", "hindsight restore",
                            "hindsight clone", "hindsight clone list", "hindsight status"}) {
    EXPECT_THAT(words, testing::Contains(known));
  }
}

TEST(Grammar, AnOptionTakesAValueOrIsAFlag) {
  const ClientGrammar client;
  EXPECT_TRUE(takes_value(*client.app.get_option("--server")));
  EXPECT_FALSE(takes_value(*client.app.get_option("--json")));
  EXPECT_FALSE(takes_value(*client.app.get_option("--help")));
  const DaemonGrammar daemon;
  EXPECT_TRUE(takes_value(*daemon.app.get_option("--nbd")));
  EXPECT_TRUE(takes_many(*daemon.app.get_option("--nbd")));
  EXPECT_FALSE(takes_many(*daemon.app.get_option("--vault")));
  EXPECT_FALSE(takes_value(*daemon.app.get_option("--verbose")));
  EXPECT_THAT(names_of(*daemon.app.get_option("--verbose")), ElementsAre("-v", "--verbose"));
}

TEST(ClientPage, HasEveryVerbWithItsArgumentsAndOptions) {
  const ClientGrammar client;
  const std::string page = client_page(client.app);
  for (const Verb& verb : all_verbs(client.app)) {
    const bool is_program = verb.app == &client.app;
    if (!is_program && !is_complete(*verb.app)) continue;
    const std::string part =
        part_behind(page, is_program ? ".SH \"OPTIONS\"" : ".SS \"" + verb.words + "\"");
    for (const CLI::Option* argument : positionals_of(*verb.app)) {
      EXPECT_THAT(part, HasSubstr("\n.TP\n" + italic(argument->get_name(true)).roff + "\n"));
    }
    for (const CLI::Option* option : options_of(*verb.app)) {
      if (!is_program && option == verb.app->get_help_ptr()) continue;
      for (const std::string& name : names_of(*option)) {
        EXPECT_THAT(part, HasSubstr(bold(name).roff)) << verb.words;
      }
      EXPECT_THAT(part, HasSubstr(prose(option->get_description()).roff)) << verb.words;
    }
    EXPECT_FALSE(part.empty()) << verb.words;
  }
}

TEST(ClientPage, SaysOnceWhatAllVerbsHave) {
  const ClientGrammar client;
  const std::string page = client_page(client.app);
  for (const std::string& once : {plain("Exit codes: 0 done").roff, plain("POINT is one of").roff,
                                  plain("hindsight clone remove shop-test").roff}) {
    EXPECT_NE(page.find(once), page.npos) << once;
    EXPECT_EQ(page.find(once), page.rfind(once)) << once;
  }
}

TEST(ClientPage, ShowsHowAVerbIsSaid) {
  const ClientGrammar client;
  const std::string page = unescaped(client_page(client.app));
  EXPECT_THAT(page, HasSubstr("\\fBhindsight rollback\\fR \\fINAME\\fR... "
                              "\\fB--at\\fR\\ \\fIPOINT\\fR [\\fB--dry-run\\fR] "));
}

TEST(DaemonPage, HasEveryOptionAndVariable) {
  const DaemonGrammar daemon;
  const std::string page = daemon_page(daemon.app);
  const std::string options = part_behind(page, ".SH \"OPTIONS\"");
  for (const CLI::Option* option : options_of(daemon.app)) {
    for (const std::string& name : names_of(*option)) {
      EXPECT_THAT(options, HasSubstr(bold(name).roff));
    }
    EXPECT_THAT(options, HasSubstr(prose(option->get_description()).roff));
  }
  const std::string variables = part_behind(page, ".SH \"ENVIRONMENT\"");
  for (const Setting& setting : settings()) {
    EXPECT_THAT(variables, HasSubstr(bold(setting.variable()).roff));
  }
}

TEST(CommandPages, EveryExampleIsRightUsage) {
  const ClientGrammar client;
  const DaemonGrammar daemon;
  int parsed = 0;
  for (const std::string& page : {client_page(client.app), daemon_page(daemon.app)}) {
    for (const std::string& example : examples_of(page)) {
      std::istringstream lines(example);
      for (std::string line; std::getline(lines, line); ++parsed) {
        ClientGrammar fresh_client;
        DaemonGrammar fresh_daemon;
        const std::string arguments = line.substr(line.find(' ') + 1);
        if (line.starts_with("hindsight ")) {
          EXPECT_NO_THROW(fresh_client.app.parse(arguments)) << line;
        } else if (line.starts_with("hindsightd ")) {
          EXPECT_NO_THROW(fresh_daemon.app.parse(arguments)) << line;
        } else {
          EXPECT_THAT(line, HasSubstr("$(hindsight ")) << "an example of nothing";
        }
      }
    }
  }
  EXPECT_GT(parsed, 10);
}

TEST(SettingsPage, HasAllThereIsToKnowOfEverySetting) {
  const std::string page = settings_page("hindsightd 1");
  const std::string part = part_behind(page, ".SH \"SETTINGS\"");
  for (std::size_t i = 0; i < settings().size(); ++i) {
    const Setting& setting = settings()[i];
    const std::size_t from = part.find("\n.TP\n" + bold(setting.key).roff);
    ASSERT_NE(from, part.npos) << setting.key;
    const std::string said = part.substr(from, part.find("\n.TP\n", from + 1) - from);
    EXPECT_THAT(said, HasSubstr(prose(setting.meaning).roff));
    EXPECT_THAT(said, HasSubstr("Default: " + bold(toml_text(setting.in_force({}))).roff));
    EXPECT_THAT(said, HasSubstr(bold(setting.variable()).roff));
    EXPECT_EQ(said.find("Option: none") != said.npos, setting.option.empty());
    const bool is_live = setting.change == Setting::Change::kLive;
    EXPECT_THAT(said, HasSubstr(is_live ? "SIGHUP" : "at the next start"));
  }
  EXPECT_THAT(part, HasSubstr("\nOption: \\fB\\-v\\fR, \\fB\\-\\-verbose\\fR\n"));
}

TEST(SettingsPage, TheExampleIsASoundConfiguration) {
  const std::vector<std::string> files = examples_of(settings_page(""));
  ASSERT_EQ(files.size(), 1u);
  Configuration read;
  EXPECT_THAT(read_config_text(files[0], "example", read), ElementsAre());
  EXPECT_NE(read, Configuration{});
}

TEST(Completion, ATypeSaysWhatCompletesIt) {
  EXPECT_EQ(completed_as("FILE|DEVICE|-"), "file");
  EXPECT_EQ(completed_as("PATH"), "file");
  EXPECT_EQ(completed_as("DIR"), "directory");
  EXPECT_EQ(completed_as("unix:PATH|tcp:HOST:PORT"), "unix:,tcp:");
  EXPECT_EQ(completed_as("SIZE"), "any");
  EXPECT_EQ(completed_as(""), "any");
}

TEST(Completion, HasEveryVerbAndOption) {
  const ClientGrammar client;
  const DaemonGrammar daemon;
  const std::string script = bash_completion({&client.app, &daemon.app});
  for (const CLI::App* program : {&client.app, &daemon.app}) {
    for (const Verb& verb : all_verbs(*program)) {
      const std::size_t from = script.find("    '" + verb.words + "')\n");
      ASSERT_NE(from, script.npos) << verb.words;
      std::string words = script.substr(from, script.find(";;", from) - from);
      for (char& c : words) {
        if (c == '\'' || c == '\n') c = ' ';
      }
      for (const CLI::App* below : sub_verbs(*verb.app)) {
        EXPECT_THAT(words, HasSubstr(" " + below->get_name() + " ")) << verb.words;
      }
      std::vector<const CLI::Option*> options = options_of(*verb.app);
      for (const CLI::Option* option : options_of(*program)) options.push_back(option);
      for (const CLI::Option* option : options) {
        for (const std::string& name : names_of(*option)) {
          EXPECT_THAT(words, HasSubstr(" " + name + " ")) << verb.words;
          const std::string value = " " + name + "=";
          EXPECT_THAT(words, takes_value(*option) ? testing::Matcher<std::string>(HasSubstr(value))
                                                  : Not(HasSubstr(value)))
              << verb.words;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tools::manual
