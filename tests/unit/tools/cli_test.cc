// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <cstdlib>
#include <iomanip>
#include <sstream>
#include <string>
#include <vector>

#include "tools/api/size.h"
#include "tools/cli/command_line.h"
#include "tools/cli/next_steps.h"
#include "tools/cli/output.h"
#include "tools/cli/progress.h"

namespace tools::cli {
namespace {

namespace json = boost::json;

TEST(Progress, SaysHowLongTheRestTakes) {
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
  EXPECT_EQ(progress_text("restoring shop", kGiB, 4 * kGiB, 2),
            "restoring shop: 1G of 4G, 512M/s, 6.0 s left");
  EXPECT_EQ(progress_text("x", kGiB, 3601 * kGiB, 1), "x: 1G of 3.5T, 1G/s, 1 h 0 min left");
  EXPECT_EQ(progress_text("x", kGiB, kGiB, 4), "x: 1G of 1G, 256M/s");
  EXPECT_EQ(progress_text("x", kGiB, 0, 4), "x: 1G, 256M/s");
  EXPECT_EQ(progress_text("x", 0, kGiB, 4), "x: 0 of 1G, 0/s");
}

TEST(Size, TakesWholeNumbersAndPowersOf1024) {
  EXPECT_EQ(cdp::value_or_throw(api::parse_size("0")), 0u);
  EXPECT_EQ(cdp::value_or_throw(api::parse_size("4096")), 4096u);
  EXPECT_EQ(cdp::value_or_throw(api::parse_size("1K")), 1024u);
  EXPECT_EQ(cdp::value_or_throw(api::parse_size("3m")), 3u << 20);
  EXPECT_EQ(cdp::value_or_throw(api::parse_size("10G")), 10ull << 30);
  EXPECT_EQ(cdp::value_or_throw(api::parse_size("16T")), 16ull << 40);
  EXPECT_EQ(cdp::value_or_throw(api::parse_size("18446744073709551615")), UINT64_MAX);
}

TEST(Size, IsWrittenSoThatItReadsBack) {
  EXPECT_EQ(api::exact_size(0), "0");
  EXPECT_EQ(api::exact_size(1023), "1023");
  EXPECT_EQ(api::exact_size(1536), "1536");
  EXPECT_EQ(api::exact_size(64u << 20), "64M");
  EXPECT_EQ(api::exact_size(3ull << 50), "3072T");
  for (const std::uint64_t bytes : {1024ul, (1ul << 30) + 1024, UINT64_MAX}) {
    EXPECT_EQ(cdp::value_or_throw(api::parse_size(api::exact_size(bytes))), bytes);
  }
}

TEST(Size, RefusesTheRestInASentence) {
  for (const char* bad : {"", "K", "1.5G", "-1", "+1", "10GB", "10 G", " 10", "0x10", "1e3", "1P",
                          "18446744073709551616", "16777216T", "1G1"}) {
    const auto refused = api::parse_size(bad);
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_EQ(refused.error().code, EINVAL) << bad;
  }
}

struct Parsed {
  std::optional<int> exit_code;
  CommandLine line;
  std::string said;  // on stderr
};

Parsed parse(std::vector<const char*> words) {
  words.insert(words.begin(), "hindsight");
  Parsed parsed;
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  parsed.exit_code = parse_command_line(static_cast<int>(words.size()), words.data(), &parsed.line);
  testing::internal::GetCapturedStdout();
  parsed.said = testing::internal::GetCapturedStderr();
  return parsed;
}

class CommandLineTest : public testing::Test {
 protected:
  void SetUp() override { ::unsetenv("HINDSIGHT_SERVER"); }
  void TearDown() override { ::unsetenv("HINDSIGHT_SERVER"); }
};

TEST_F(CommandLineTest, RestoreTakesPointAndTarget) {
  const Parsed parsed =
      parse({"--tz", "Asia/Shanghai", "restore", "shop", "--at", "yesterday 18:56", "--to",
             "out.img", "--format", "qcow2", "--force"});
  ASSERT_EQ(parsed.exit_code, std::nullopt) << parsed.said;
  EXPECT_EQ(parsed.line.verb, Verb::kRestore);
  EXPECT_EQ(parsed.line.name, "shop");
  EXPECT_EQ(parsed.line.at, "yesterday 18:56");
  EXPECT_EQ(parsed.line.to, "out.img");
  EXPECT_EQ(parsed.line.format, restore::ImageFormat::kQcow2);
  EXPECT_TRUE(parsed.line.force);
  EXPECT_EQ(parsed.line.tz, "Asia/Shanghai");
  EXPECT_EQ(parse({"restore", "shop", "--at", "now", "--to", "-"}).line.to, "-");
}

// Rule 12: what takes a point takes --force for one inside a gap.
TEST_F(CommandLineTest, EveryVerbOfAPointTakesForce) {
  using Words = std::vector<const char*>;
  for (Words words : {Words{"points", "shop", "--at", "now"}, Words{"view", "shop", "--at", "now"},
                      Words{"clone", "shop", "--at", "now", "--as", "new"},
                      Words{"recover", "shop", "--at", "now", "--as", "new"},
                      Words{"rollback", "shop", "--at", "now"},
                      Words{"diff", "shop", "--from", "first", "--to", "now"}}) {
    EXPECT_FALSE(parse(words).line.force) << words[0];
    words.push_back("--force");
    const Parsed parsed = parse(words);
    EXPECT_EQ(parsed.exit_code, std::nullopt) << words[0] << ": " << parsed.said;
    EXPECT_TRUE(parsed.line.force) << words[0];
  }
}

TEST_F(CommandLineTest, CommonOptionsStandBeforeOrAfterTheVerb) {
  for (const Parsed& parsed : {parse({"--json", "--vault", "/v", "points", "shop"}),
                               parse({"points", "shop", "--json", "--vault", "/v"})}) {
    ASSERT_EQ(parsed.exit_code, std::nullopt) << parsed.said;
    EXPECT_TRUE(parsed.line.json);
    EXPECT_EQ(parsed.line.vault, "/v");
    EXPECT_EQ(parsed.line.at, std::nullopt);
  }
}

TEST_F(CommandLineTest, TheServerComesFromTheOptionElseTheEnvironmentElseTheDefault) {
  EXPECT_EQ(parse({"status"}).line.server, "unix:/var/lib/hindsight/control.sock");
  ::setenv("HINDSIGHT_SERVER", "unix:/from/env", 1);
  EXPECT_EQ(parse({"status"}).line.server, "unix:/from/env");
  EXPECT_EQ(parse({"--server", "unix:/given", "status"}).line.server, "unix:/given");
  EXPECT_EQ(parse({"--vault", "/v", "status"}).exit_code, std::nullopt);
  ::unsetenv("HINDSIGHT_SERVER");
  EXPECT_EQ(parse({"--vault", "/v", "--server", "unix:/given", "status"}).exit_code, 2);
}

TEST_F(CommandLineTest, EveryVolumeVerbIsKnown) {
  const Parsed create = parse({"volume", "create", "shop", "--size", "10G", "--backing", "/dev/x"});
  ASSERT_EQ(create.exit_code, std::nullopt) << create.said;
  EXPECT_EQ(create.line.verb, Verb::kVolumeCreate);
  EXPECT_EQ(create.line.size_bytes, 10ull << 30);
  EXPECT_EQ(create.line.backing, "/dev/x");
  EXPECT_TRUE(parse({"volume", "list", "--removed"}).line.with_removed);
  EXPECT_EQ(parse({"volume", "show", "shop"}).line.verb, Verb::kVolumeShow);
  EXPECT_EQ(parse({"volume", "resize", "shop", "--size", "1T"}).line.size_bytes, 1ull << 40);
  EXPECT_EQ(parse({"volume", "rename", "shop", "store"}).line.new_name, "store");
  EXPECT_EQ(parse({"volume", "remove", "shop"}).line.verb, Verb::kVolumeRemove);
  EXPECT_EQ(parse({"volume", "resume", "shop"}).line.verb, Verb::kVolumeResume);
}

TEST_F(CommandLineTest, MarkTakesANameOrAll) {
  const Parsed one = parse({"mark", "shop", "before upgrade"});
  ASSERT_EQ(one.exit_code, std::nullopt) << one.said;
  EXPECT_EQ(one.line.name, "shop");
  EXPECT_EQ(one.line.label, "before upgrade");
  const Parsed all = parse({"mark", "--all", "before"});
  ASSERT_EQ(all.exit_code, std::nullopt) << all.said;
  EXPECT_EQ(all.line.name, "");
  EXPECT_EQ(all.line.label, "before");
  EXPECT_EQ(parse({"mark", "shop"}).exit_code, 2);
  EXPECT_EQ(parse({"mark", "--all", "shop", "before"}).exit_code, 2);
}

TEST_F(CommandLineTest, UsersHaveRolesAndTokensDays) {
  const Parsed create =
      parse({"user", "create", "--role", "operator", "bob", "--role", "restorer", "--sees-data"});
  ASSERT_EQ(create.exit_code, std::nullopt) << create.said;
  EXPECT_EQ(create.line.verb, Verb::kUserCreate);
  EXPECT_EQ(create.line.name, "bob");
  EXPECT_EQ(create.line.roles, (std::vector<std::string>{"operator", "restorer"}));
  EXPECT_EQ(create.line.sees_data, true);
  EXPECT_EQ(parse({"user", "create", "bob"}).line.sees_data, std::nullopt);
  EXPECT_EQ(parse({"user", "change", "bob", "--no-sees-data"}).line.sees_data, false);
  EXPECT_TRUE(parse({"user", "change", "bob", "--password"}).line.change_password);
  EXPECT_EQ(parse({"user", "password"}).line.verb, Verb::kUserPassword);
  const Parsed token = parse({"token", "create", "nightly", "--days", "90"});
  ASSERT_EQ(token.exit_code, std::nullopt) << token.said;
  EXPECT_EQ(token.line.label, "nightly");
  EXPECT_EQ(token.line.days, 90);
  EXPECT_EQ(parse({"token", "revoke", "t1"}).line.token_id, "t1");
}

TEST_F(CommandLineTest, SigningInNamesAServerAndItsCa) {
  const Parsed login =
      parse({"--server", "https://vault:8443", "login", "alice", "--ca", "ca.crt"});
  ASSERT_EQ(login.exit_code, std::nullopt) << login.said;
  EXPECT_EQ(login.line.verb, Verb::kLogin);
  EXPECT_EQ(login.line.server, "https://vault:8443");
  EXPECT_EQ(login.line.ca_file, "ca.crt");
  EXPECT_EQ(login.line.days, std::nullopt);
  EXPECT_EQ(parse({"setup", "alice", "--code", "1234"}).line.code, "1234");
  EXPECT_EQ(parse({"audit", "--before", "lsn:7", "--limit", "3"}).line.before, 7u);
  EXPECT_EQ(parse({"audit", "--before", "7"}).line.before, 7u);
}

TEST_F(CommandLineTest, CertificatesAreForNames) {
  const Parsed init = parse({"tls", "init", "--name", "vault.example", "--name", "192.0.2.7"});
  ASSERT_EQ(init.exit_code, std::nullopt) << init.said;
  EXPECT_EQ(init.line.verb, Verb::kTlsInit);
  EXPECT_EQ(init.line.host_names, (std::vector<std::string>{"vault.example", "192.0.2.7"}));
  EXPECT_EQ(init.line.tls_directory, "/var/lib/hindsight/tls");
  const Parsed client = parse({"tls", "client", "db1", "--directory", "/t", "--force"});
  ASSERT_EQ(client.exit_code, std::nullopt) << client.said;
  EXPECT_EQ(client.line.name, "db1");
  EXPECT_EQ(client.line.tls_directory, "/t");
  EXPECT_TRUE(client.line.force);
}

TEST_F(CommandLineTest, WrongUsageIsOneLineWithAHintAndTheCode2) {
  for (const std::vector<const char*>& words : std::vector<std::vector<const char*>>{
           {"--json"},
           {"bogus"},
           {"volume"},
           {"volume", "bogus"},
           {"volume", "create", "shop"},
           {"volume", "create", "shop", "--size", "much"},
           {"restore", "shop", "--at", "now"},
           {"restore", "shop", "--to", "x"},
           {"restore", "shop", "--at", "now", "--to", "x", "--format", "vmdk"},
           {"status", "extra"},
           {"status", "--bogus"},
           {"rollback", "shop"},
           {"user", "create", "bob", "--role", "king"},
           {"user", "change", "bob"},
           {"user", "change", "bob", "--sees-data", "--no-sees-data"},
           {"token", "create", "x", "--days", "0"},
           {"audit", "--before", "yesterday"},
           {"audit", "--limit", "-1"},
           {"login"},
           {"tls"},
           {"tls", "client"},
           {"rollback", "--at", "now"}}) {
    const Parsed parsed = parse(words);
    EXPECT_EQ(parsed.exit_code, 2) << parsed.said;
    EXPECT_TRUE(parsed.said.starts_with("hindsight: ")) << parsed.said;
    EXPECT_NE(parsed.said.find("--help` explains"), std::string::npos) << parsed.said;
    EXPECT_EQ(std::count(parsed.said.begin(), parsed.said.end(), '\n'), 1) << parsed.said;
  }
  EXPECT_NE(parse({"bogus"}).said.find("no verb \"bogus\""), std::string::npos);
}

TEST_F(CommandLineTest, NothingAsksWhatComesNext) {
  EXPECT_EQ(parse({}).line.verb, Verb::kNextSteps);
  EXPECT_EQ(parse({"--vault", "/v"}).line.verb, Verb::kNextSteps);
  EXPECT_EQ(parse({"status"}).line.verb, Verb::kStatus);
}

TEST_F(CommandLineTest, HelpAndVersionEndWell) {
  EXPECT_EQ(parse({"--help"}).exit_code, 0);
  EXPECT_EQ(parse({"restore", "--help"}).exit_code, 0);
  EXPECT_EQ(parse({"volume", "create", "--help"}).exit_code, 0);
  EXPECT_EQ(parse({"--version"}).exit_code, 0);
}

TEST(NextSteps, BeginWithTheFirstVolume) {
  const json::value nothing = json::parse(R"({"server": {}, "volumes": []})");
  const std::string first =
      next_steps_text(nothing.as_object(), "hindsight", restore::TimeZone::utc());
  EXPECT_NE(first.find("\n  hindsight volume create shop --size 20G\n"), std::string::npos);
}

TEST(NextSteps, AreCommandsThatTheCommandLineTakes) {
  const json::value daemon = json::parse(
      R"({"server": {}, "volumes": [{"name": "db"}], "vault": {"created": "2020-02-09T10:56:00Z"}})");
  const json::value vault = json::parse(R"({"volumes": [{"name": "db"}, {"name": "web"}]})");
  const auto shanghai = cdp::value_or_throw(restore::TimeZone::find("Asia/Shanghai"));
  const std::string of_daemon = next_steps_text(daemon.as_object(), "hindsight", shanghai);
  EXPECT_TRUE(of_daemon.starts_with(
      "The volume db is protected: any second since 2020-02-09 18:56:00 +08:00 can be had back.\n"))
      << of_daemon;
  const std::string of_vault = next_steps_text(vault.as_object(), "hindsight --vault /v", shanghai);
  EXPECT_TRUE(of_vault.starts_with("2 volumes are in this vault: any second")) << of_vault;
  EXPECT_EQ(of_vault.find("rollback"), std::string::npos) << "a vault alone is not changed";
  std::size_t commands = 0;
  for (const std::string& text : {of_daemon, of_vault}) {
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
      const std::size_t at = line.find("hindsight ");
      if (at == line.npos || line.find('`') != line.npos) continue;
      ++commands;
      std::vector<std::string> words;
      std::istringstream of_line{line.substr(at + 10)};
      for (std::string word; of_line >> std::quoted(word);) words.push_back(word);
      std::vector<const char*> pointers;
      for (const std::string& word : words) pointers.push_back(word.c_str());
      const Parsed parsed = parse(pointers);
      EXPECT_EQ(parsed.exit_code, std::nullopt) << line << "\n" << parsed.said;
    }
  }
  EXPECT_EQ(commands, 10u);
}

TEST(Output, APointShowsLsnLocalTimeUtcAndTheNearestMark) {
  const json::value document = json::parse(R"({
    "volume": {"name": "shop", "id": "6d1f0c2e-8f3a-4b7e-9a51-0c9f5d2b7e11", "size_bytes": 1073741824},
    "point": {"lsn": 42, "time_utc": "2020-02-23T10:55:59.500000000Z"},
    "asked_time": "2020-02-23T10:56:00Z",
    "nearest_mark": {"label": "before", "lsn": 40, "distance": "5.0 s after it"}})");
  const auto zone = cdp::value_or_throw(restore::TimeZone::find("Asia/Shanghai"));
  EXPECT_EQ(point_fields(document.as_object(), zone),
            "volume        shop (id:6d1f0c2e-8f3a-4b7e-9a51-0c9f5d2b7e11), 1G\n"
            "point         lsn:42\n"
            "newest write  2020-02-23 18:55:59.5 +08:00\n"
            "in UTC        2020-02-23 10:55:59.5 UTC\n"
            "asked for     2020-02-23 18:56:00 +08:00  (2020-02-23 10:56:00 UTC)\n"
            "nearest mark  before (lsn:40), the point is 5.0 s after it\n");
}

TEST(Output, DocumentsWithMissingMembersAreShownAllTheSame) {
  const json::value odd = json::parse(
      R"({"volumes": [1, {"name": 7, "size_bytes": -1}], "point": 3, "marks": [null], "vault": []})");
  const auto zone = restore::TimeZone::utc();
  EXPECT_NE(status_text(odd.as_object(), zone).find("NAME"), std::string::npos);
  EXPECT_FALSE(points_overview(odd.as_object(), zone).empty());
  EXPECT_EQ(point_fields(odd.as_object(), zone), "");
  EXPECT_FALSE(volume_fields(odd.as_object(), zone).empty());
  EXPECT_FALSE(verify_text(odd.as_object()).empty());
  EXPECT_EQ(number_of(odd.at("volumes").as_array()[1].as_object(), "size_bytes"), 0u);
}

}  // namespace
}  // namespace tools::cli
