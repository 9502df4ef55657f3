// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/config/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/tools/certificate_files.h"
#include "tools/daemon/config/command_line.h"
#include "tools/daemon/config/config_file.h"
#include "tools/daemon/config/settings.h"

namespace tools {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::vector<std::string> read(const std::string& text, Configuration* into = nullptr) {
  Configuration unused;
  return read_config_text(text, "F", into != nullptr ? *into : unused);
}

TEST(ConfigFile, WhatIsPrintedIsWhatWouldBeWithoutIt) {
  Configuration read_back;
  read_back.vault = "/elsewhere";
  EXPECT_THAT(read(config_text({}), &read_back), IsEmpty());
  EXPECT_EQ(read_back, Configuration{});
}

TEST(ConfigFile, EveryValueIsWrittenSoThatItReadsBack) {
  Configuration told;
  told.vault = "/with \"quotes\", a \\, a\ttab, a\nline and \xc3\xa4";
  told.state = "/it's";
  told.allowed_paths = {"/dev/mapper", "/srv/# no comment"};
  told.nbd_listen = {"unix:/run/a, b", "tcp:[::1]:10809"};
  told.insecure = true;
  told.http_listen = "[::]:8443";
  told.tls_certificate = "/etc/tls/a.crt";
  told.tls_key = "/etc/tls/a key";
  told.tls_client_ca = "/etc/tls/ca.crt";
  told.nbd_tls = "require";
  told.nbd_psk_file = "/etc/keys.psk";
  told.nbd_clients = {"web1 live shop", "the web views *"};
  told.control_listen = "unix:/run/control";
  told.dirty_budget_bytes = (64u << 20) + 1;
  told.dedup_bytes = std::uint64_t{1} << 40;
  told.segment_bytes = 1u << 30;
  told.hydration_bytes_per_second = 3u << 20;
  told.alerts_rpo = "2m";
  told.check_socket = "/run/elsewhere/check.sock";
  told.check_time_limit = "90s";
  told.verbose = true;
  Configuration read_back;
  EXPECT_THAT(read(config_text(told), &read_back), IsEmpty()) << config_text(told);
  EXPECT_EQ(read_back, told) << config_text(told);
}

// What nobody named is a comment, and stays one where it is long.
TEST(ConfigFile, WhatFollowsALongPathReadsBack) {
  Configuration told;
  told.state = "/" + std::string(200, 'a');
  Configuration read_back;
  EXPECT_THAT(read(config_text(told), &read_back), IsEmpty()) << config_text(told);
  EXPECT_EQ(read_back, told);
}

TEST(ConfigFile, EverySettingIsInIt) {
  const std::string text = config_text({});
  for (const Setting& setting : settings()) {
    EXPECT_THAT(text, HasSubstr(setting.variable())) << setting.key;
  }
}

TEST(ConfigFile, TakesEachKindOfValue) {
  Configuration told;
  EXPECT_THAT(read("vault = \"/srv//vault/\"\n"
                   "allowed_paths = [\"/dev\", '/srv/volumes']\n"
                   "nbd.listen = [\"unix:/run/nbd\", \"tcp:127.0.0.1:10809\"]\n"
                   "[nbd]\n",
                   &told),
              ElementsAre(HasSubstr("F:4: ")))
      << "a table is opened once";
  told = {};
  EXPECT_THAT(read("vault = \"/srv//vault/\"\n"
                   "allowed_paths = [\"/dev\", '/srv/volumes']\n"
                   "insecure = true\n"
                   "[nbd]\n"
                   "listen = [\"unix:/run/nbd\", \"tcp:127.0.0.1:10809\"]\n"
                   "[memory]\n"
                   "dirty_budget = \"64M\"\n"
                   "dedup = 4194304\n"
                   "[hydration]\n"
                   "rate = 0\n"
                   "[alerts]\n"
                   "rpo = \"60s\"\n",
                   &told),
              IsEmpty());
  EXPECT_EQ(told.rpo_objective(), cdp::seconds(60));
  EXPECT_EQ(told.vault, "/srv/vault");
  EXPECT_THAT(told.allowed_paths, ElementsAre("/dev", "/srv/volumes"));
  EXPECT_THAT(told.nbd_listen, ElementsAre("unix:/run/nbd", "tcp:127.0.0.1:10809"));
  EXPECT_TRUE(told.insecure);
  EXPECT_EQ(told.dirty_budget_bytes, 64u << 20);
  EXPECT_EQ(told.dedup_bytes, 4u << 20);
  EXPECT_EQ(told.hydration_bytes_per_second, 0u);
  EXPECT_EQ(told.segment_bytes, Configuration{}.segment_bytes);
}

TEST(ConfigFile, WhatIsWrongIsToldWithItsLineAndTheNearestKey) {
  const struct {
    const char* text;
    const char* sentence;
  } cases[] = {
      {"[journal]\nsegmentsize = \"64M\"",
       "F:2: there is no setting journal.segmentsize: "
       "journal.segment_size is one"},
      {"[jurnal]\nsegment_size = \"64M\"",
       "F:2: there is no setting jurnal.segment_size: "
       "journal.segment_size is one"},
      {"segment_size = \"64M\"",
       "F:1: there is no setting segment_size: journal.segment_size is one"},
      {"\n\nflux_capacitor = 1", "F:3: there is no setting flux_capacitor"},
      {"[journal]\nsegment_size = \"64MB\"", "F:2: journal.segment_size: \"64MB\" is no size"},
      {"[journal]\nsegment_size = \"64 Mio\"", "F:2: journal.segment_size: "},
      {"[journal]\nsegment_size = \"1M\"",
       "F:2: journal.segment_size: 1M is not between 20M and 1G"},
      {"[journal]\nsegment_size = -1", "F:2: journal.segment_size: "},
      {"[journal]\nsegment_size = 6.4e7", "F:2: journal.segment_size: "},
      {"[journal]\nsegment_size = true", "F:2: journal.segment_size: it wants a size"},
      {"[hydration]\nrate = \"1K\"", "F:2: hydration.rate: 1K is not between 1M and 1T, nor 0"},
      {"[alerts]\nrpo = 5", "F:2: alerts.rpo: it wants one text, in quotes"},
      {"[alerts]\nrpo = \"5 seconds\"", "F:2: alerts.rpo: \"5 seconds\" is no time: write 90s"},
      {"[alerts]\nrpo = \"-1s\"", "F:2: alerts.rpo: \"-1s\" is no time"},
      {"[alerts]\nrpo = \"25h\"", "F:2: alerts.rpo: 25h is more than 24h"},
      {"vault = 5", "F:1: vault: it wants one text, in quotes"},
      {"vault = \"relative/path\"",
       "F:1: vault: \"relative/path\" must be a path from the root on"},
      {"vault = \"\"", "F:1: vault: it wants a path"},
      {"vault = [\"/a\"]", "F:1: vault: it wants one text"},
      {"vault = { path = \"/a\" }", "F:1: vault: it is a text, a whole number"},
      {"vault = 2020-02-23", "F:1: vault: it is a text, a whole number"},
      {"allowed_paths = \"/dev\"", "F:1: allowed_paths: it wants a list"},
      {"allowed_paths = [\"/dev\", 5]", "F:1: allowed_paths: "},
      {"insecure = \"yes\"", "F:1: insecure: it is true or false"},
      {"nbd.insecure = true", "F:1: there is no setting nbd.insecure: insecure is one"},
      {"http.listen = \"unix:/run/x\"", "F:1: http.listen: it takes HOST:PORT, not unix:/run/x"},
      {"http.listen = \"localhost\"", "F:1: http.listen: it takes HOST:PORT: "},
      {"http.listen = \"::1:8443\"", "F:1: http.listen: it takes HOST:PORT: "},
      {"tls.key = \"server.key\"", "F:1: tls.key: \"server.key\" must be a path from the root"},
      {"nbd.tls = \"on\"", "F:1: nbd.tls: it is \"require\", \"off\" or empty"},
      {"nbd.clients = [\"web1 shop\"]", "F:1: nbd.clients: \"web1 shop\" is no right"},
      {"nbd.listen = [\"udp:1.2.3.4:5\"]", "F:1: nbd.listen: "},
      {"control.listen = \"tcp:127.0.0.1:1\"", "F:1: control.listen: it takes unix:PATH"},
      {"vault = \"/a\"\nvault = \"/b\"", "F:2: "},
      {"vault = \"/a", "F:1: "},
      {"vault", "F:1: "},
      {"= 5", "F:1: "},
      {"vault = \"\xff\"", "F:1: "},
      {"vault = \"/a\\u0000b\"", "F:1: vault: no path has a NUL"},
      {"nbd = 5", "F:1: there is no setting nbd"},
      {"[control]\n[jurnal]", "F:2: there is no setting jurnal"},
      {"journal.segment.size = 5",
       "F:1: there is no setting journal.segment: journal.segment_size is one"},
      {"[[metrics]]\ninsecure = true", "F:1: there is no setting metrics"},
      {"vault.deeper = 1", "F:1: vault: it is a text"},
  };
  for (const auto& [text, sentence] : cases) {
    EXPECT_THAT(read(text), ElementsAre(StartsWith(sentence))) << text;
  }
}

// The names of a table are as deep as a line is long.
TEST(ConfigFile, WhatIsNestedAsDeepAsTheFileIsLongIsRefused) {
  for (const char* const each : {"a.", "[", "{a=", "[[", "a=["}) {
    std::string text;
    while (text.size() + 4 < kConfigBytesMax) text += each;
    EXPECT_THAT(read(text + "a=1"), testing::Not(IsEmpty())) << each;
  }
}

TEST(ConfigFile, AllThatIsWrongIsToldInTheOrderOfItsLines) {
  EXPECT_THAT(read("zebra = 1\n[metrics]\ninsecure = 1\nlisten = 2\n[journal]\nsegment_size = 1\n"),
              ElementsAre(StartsWith("F:1: "), StartsWith("F:3: "), StartsWith("F:4: "),
                          StartsWith("F:6: ")));
}

class LayersTest : public testing::Test {
 protected:
  LayersTest() {
    std::string name =
        (std::filesystem::temp_directory_path() / "hindsight_config_XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~LayersTest() override {
    std::filesystem::remove_all(directory_);
    for (const Setting& setting : settings()) ::unsetenv(setting.variable().c_str());
  }
  CommandLine parse(std::vector<std::string> words) {
    words.insert(words.begin(), "hindsightd");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    return parse_command_line(static_cast<int>(argv.size()), argv.data());
  }
  std::vector<std::string> configured(std::vector<std::string> words) {
    return configure(parse(std::move(words)), told_);
  }
  std::string file(const std::string& text) {
    const std::filesystem::path path = directory_ / "hindsight.toml";
    std::ofstream{path} << text;
    return path.string();
  }
  void addition(const std::string& name, const std::string& text) {
    std::filesystem::create_directory(directory_ / "hindsight.toml.d");
    std::ofstream{directory_ / "hindsight.toml.d" / name} << text;
  }
  std::filesystem::path directory_;
  Configuration told_;
};

TEST_F(LayersTest, OptionsGoOverTheEnvironmentAndThatOverTheFile) {
  const std::string path = file(
      "[memory]\ndirty_budget = \"32M\"\ndedup = \"32M\"\n"
      "[journal]\nsegment_size = \"32M\"\n[log]\nverbose = true\n");
  ::setenv("HINDSIGHTD_MEMORY_DEDUP", "48M", 1);
  ::setenv("HINDSIGHTD_JOURNAL_SEGMENT_SIZE", "48M", 1);
  ::setenv("HINDSIGHTD_LOG_VERBOSE", "no", 1);
  EXPECT_THAT(configured({"--config", path, "--segment-size", "64M"}), IsEmpty());
  EXPECT_EQ(told_.dirty_budget_bytes, 32u << 20);
  EXPECT_EQ(told_.dedup_bytes, 48u << 20);
  EXPECT_EQ(told_.segment_bytes, 64u << 20);
  EXPECT_FALSE(told_.verbose);
  EXPECT_EQ(told_.hydration_bytes_per_second, 0u);
}

TEST_F(LayersTest, AdditionsGoOverTheFileInTheOrderOfTheirNames) {
  const std::string path = file("vault = \"/file\"\nstate = \"/file-state\"\n");
  addition("20-later.toml", "[memory]\ndedup = \"48M\"\n");
  addition("10-first.toml", "vault = \"/addition\"\n[memory]\ndedup = \"32M\"\n");
  addition("10-first.toml.dpkg-old", "nonsense");
  addition(".10-first.toml", "nonsense");
  EXPECT_THAT(configured({"--config", path}), IsEmpty());
  EXPECT_EQ(told_.vault, "/addition");
  EXPECT_EQ(told_.state, "/file-state");
  EXPECT_EQ(told_.dedup_bytes, 48u << 20);
  ::setenv("HINDSIGHTD_MEMORY_DEDUP", "64M", 1);
  EXPECT_THAT(configured({"--config", path}), IsEmpty());
  EXPECT_EQ(told_.dedup_bytes, 64u << 20);
}

TEST_F(LayersTest, AdditionsAreAsStrictAsTheFile) {
  const std::string path = file("");
  addition("a.toml", "\n[nbd]\nlisten = 1\n");
  addition("b.toml", "valt = \"/srv\"\n");
  EXPECT_THAT(configured({"--config", path}),
              ElementsAre(HasSubstr("hindsight.toml.d/a.toml:3: nbd.listen: "),
                          HasSubstr("hindsight.toml.d/b.toml:1: there is no setting valt")));
  std::filesystem::remove_all(directory_ / "hindsight.toml.d");
  std::filesystem::create_symlink("nowhere", directory_ / "hindsight.toml.d");
  EXPECT_THAT(configured({"--config", path}), IsEmpty());
  std::filesystem::remove(directory_ / "hindsight.toml.d");
  std::ofstream{directory_ / "hindsight.toml.d"} << "a file";
  EXPECT_THAT(configured({"--config", path}), ElementsAre(HasSubstr("Not a directory")));
  std::filesystem::remove(directory_ / "hindsight.toml.d");
  for (int i = 0; i < 65; ++i) addition(std::to_string(i) + ".toml", "");
  EXPECT_THAT(configured({"--config", path}), ElementsAre(HasSubstr("65 files")));
}

TEST_F(LayersTest, SeveralOfAnOptionAreOneListAndReplaceTheFiles) {
  const std::string path = file("nbd.listen = [\"unix:/run/file\"]\n");
  EXPECT_THAT(configured({"--config", path, "--nbd", "unix:/run/a", "--nbd", "tcp:127.0.0.1:1"}),
              IsEmpty());
  EXPECT_THAT(told_.nbd_listeners(), ElementsAre("unix:/run/a", "tcp:127.0.0.1:1"));
  ::setenv("HINDSIGHTD_NBD_LISTEN", "unix:/run/b,tcp:127.0.0.1:2", 1);
  EXPECT_THAT(configured({"--config", path}), IsEmpty());
  EXPECT_THAT(told_.nbd_listeners(), ElementsAre("unix:/run/b", "tcp:127.0.0.1:2"));
}

TEST_F(LayersTest, PathsOfOptionsStartFromHere) {
  EXPECT_THAT(configured({"--config", file(""), "--vault", "v", "--state", "./s/../t", "--control",
                          "unix:c"}),
              IsEmpty());
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(told_.vault, here + "/v");
  EXPECT_EQ(told_.state, here + "/t");
  EXPECT_EQ(told_.control_listener(), "unix:" + here + "/c");
  EXPECT_THAT(told_.nbd_listeners(), ElementsAre("unix:" + here + "/t/nbd.sock"));
}

TEST_F(LayersTest, EachLayerNamesWhatIsWrongInIt) {
  ::setenv("HINDSIGHTD_HYDRATION_RATE", "fast", 1);
  EXPECT_THAT(configured({"--config", file("vault = 1\n"), "--dirty-budget", "1M"}),
              ElementsAre(HasSubstr("hindsight.toml:1: vault: "),
                          StartsWith("HINDSIGHTD_HYDRATION_RATE: \"fast\" is no size"),
                          StartsWith("--dirty-budget: 1M is not between 16M")));
}

TEST_F(LayersTest, AVariableOfNoSettingIsRefused) {
  ::setenv("HINDSIGHTD_VALT", "/a", 1);
  EXPECT_THAT(configured({"--config", file("")}),
              ElementsAre(StartsWith("HINDSIGHTD_VALT: there is no such setting")));
  ::unsetenv("HINDSIGHTD_VALT");
}

TEST_F(LayersTest, AFileThatIsNamedMustBeThere) {
  EXPECT_THAT(configured({"--config", (directory_ / "none").string()}),
              ElementsAre(HasSubstr("none")));
  EXPECT_THAT(configured({"--config", directory_.string()}),
              ElementsAre(HasSubstr("s a directory")));
  EXPECT_THAT(configured({"--config", file(std::string(kConfigBytesMax + 1, '#'))}),
              ElementsAre(HasSubstr("more than a configuration may have")));
}

TEST_F(LayersTest, ContradictionsAreRefused) {
  EXPECT_THAT(configured({"--config", file(""), "--vault", "/a", "--state", "/b/../a"}),
              ElementsAre(HasSubstr("two directories")));
  EXPECT_THAT(configured({"--config", file(""), "--nbd", "tcp:192.0.2.1:10809"}),
              ElementsAre(HasSubstr("--insecure")));
  EXPECT_THAT(configured({"--config", file(""), "--nbd", "tcp:192.0.2.1:10809", "--insecure"}),
              IsEmpty());
  EXPECT_THAT(configured({"--config", file(""), "--metrics", "tcp:192.0.2.1:9310"}),
              ElementsAre(HasSubstr("metrics.insecure")));
  EXPECT_THAT(configured({"--config", file("[metrics]\ninsecure = true\n"), "--metrics",
                          "tcp:192.0.2.1:9310"}),
              IsEmpty());
  EXPECT_THAT(configured({"--config", file("[metrics]\nlisten = \"\"\n")}), IsEmpty());
}

TEST_F(LayersTest, HttpIsToldAsInAUrlOrAsASocketAddress) {
  const std::pair<const char*, const char*> cases[] = {
      {"127.0.0.1:8443", "127.0.0.1:8443"}, {"tcp:127.0.0.1:8443", "127.0.0.1:8443"},
      {"localhost:0", "localhost:0"},       {"[::1]:8443", "[::1]:8443"},
      {"tcp:[::1]:8443", "[::1]:8443"},
  };
  for (const auto& [said, taken] : cases) {
    EXPECT_THAT(configured({"--config", file(""), "--http", said}), IsEmpty()) << said;
    EXPECT_EQ(told_.http_listen, taken);
    EXPECT_EQ(told_.http_listener(), std::string{"tcp:"} + taken);
  }
  EXPECT_THAT(configured({"--config", file("http.listen = \"127.0.0.1:1\"\n"), "--http", ""}),
              IsEmpty());
  EXPECT_EQ(told_.http_listener(), "") << "nowhere";
}

TEST_F(LayersTest, BeyondLoopbackHttpWantsACertificateOrToBeInsecure) {
  const std::string state = (directory_ / "state").string();
  const std::vector<std::string> open{"--config", file(""), "--state",
                                      state,      "--http", "192.0.2.1:8443"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), open.begin(), open.end());
    return more;
  };
  EXPECT_THAT(configured(open), ElementsAre(AllOf(HasSubstr("192.0.2.1:8443 is not a loopback"),
                                                  HasSubstr("`hindsight tls init`"))));
  EXPECT_THAT(configured(with({"--insecure"})), IsEmpty());
  EXPECT_THAT(configured({"--config", file(""), "--state", state, "--http", "[::]:8443"}),
              ElementsAre(HasSubstr("[::]:8443 is not a loopback address")));
  // What lies where `tls init` puts it is found.
  std::filesystem::create_directories(directory_ / "state/tls");
  EXPECT_FALSE(told_.has_certificate());
  write_certificate(told_.certificate_path(), told_.key_path());
  EXPECT_THAT(configured(open), IsEmpty());
  EXPECT_TRUE(told_.has_certificate());
}

TEST_F(LayersTest, NbdIsByTlsWhereClientsCanProveWhoTheyAre) {
  const std::string state = (directory_ / "state").string();
  const auto told = [&](const std::string& text, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--config", file(text), "--state", state});
    return configured(more);
  };
  const std::vector<std::string> open{"--nbd", "tcp:192.0.2.1:10809"};
  EXPECT_THAT(told("", open), ElementsAre(AllOf(HasSubstr("192.0.2.1:10809 is not a loopback"),
                                                HasSubstr("`hindsight tls init`"))));
  EXPECT_THAT(told("nbd.tls = \"require\"\n"), ElementsAre(HasSubstr("nbd.tls requires")));
  EXPECT_THAT(told("nbd.clients = [\"web1 live shop\"]\n"),
              ElementsAre(HasSubstr("nobody can prove who he is")));
  std::filesystem::create_directories(directory_ / "state/tls");
  EXPECT_THAT(told(""), IsEmpty());
  write_certificate(told_.certificate_path(), told_.key_path());
  EXPECT_THAT(told("", open), ElementsAre(HasSubstr("not a loopback"))) << "nobody could be known";
  EXPECT_THAT(told(""), IsEmpty());
  EXPECT_FALSE(told_.nbd_has_tls());
  std::filesystem::copy(told_.certificate_path(), told_.client_ca_path());
  EXPECT_THAT(told("", open), IsEmpty());
  EXPECT_TRUE(told_.nbd_has_tls());
  EXPECT_TRUE(told_.nbd_requires_tls());
  EXPECT_THAT(told("nbd.tls = \"off\"\n", open), ElementsAre(HasSubstr("nbd.tls is off")));
  EXPECT_THAT(told("nbd.tls = \"off\"\ninsecure = true\n", open), IsEmpty());
  EXPECT_FALSE(told_.nbd_has_tls());
  EXPECT_FALSE(told_.nbd_requires_tls());
  std::ofstream{told_.client_ca_path()} << "rubbish";
  EXPECT_THAT(told(""), ElementsAre(HasSubstr("ca.crt is no certificate")));
  std::filesystem::remove_all(directory_ / "state/tls");
  const std::string keys = (directory_ / "keys.psk").string();
  EXPECT_THAT(told("nbd.psk_file = \"" + keys + "\"\n", open), ElementsAre(HasSubstr("keys.psk")));
  std::ofstream{keys} << "web1:" << std::string(64, 'a') << "\n";
  EXPECT_THAT(told("nbd.psk_file = \"" + keys + "\"\n", open), IsEmpty());
  EXPECT_TRUE(told_.nbd_requires_tls());
}

TEST_F(LayersTest, ACertificateThatCannotBeServedIsRefused) {
  const std::filesystem::path one = directory_ / "one";
  const std::filesystem::path other = directory_ / "other";
  const std::filesystem::path none = directory_ / "none";
  const auto path = [](std::filesystem::path stem, const char* extension) {
    return stem.replace_extension(extension).string();
  };
  write_certificate(path(one, "crt"), path(one, "key"));
  write_certificate(path(other, "crt"), path(other, "key"), "secret");
  std::ofstream{none} << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  std::ofstream{path(one, "twice")} << std::ifstream{path(one, "crt")}.rdbuf()
                                    << std::ifstream{none}.rdbuf();
  const auto told = [&](const std::string& certificate, const std::string& key) {
    return configured(
        {"--config", file("[http]\nlisten = \"127.0.0.1:8443\"\n[tls]\ncertificate = \"" +
                          certificate + "\"\nkey = \"" + key + "\"\n")});
  };
  EXPECT_THAT(told(path(one, "crt"), path(one, "key")), IsEmpty());
  EXPECT_THAT(told(path(one, "crt"), path(other, "key")),
              ElementsAre(HasSubstr("other.key wants a passphrase")));
  write_certificate(path(other, "crt"), path(other, "key"));
  EXPECT_THAT(told(path(one, "crt"), path(other, "key")),
              ElementsAre(HasSubstr("other.key is not the key of the certificate")));
  EXPECT_THAT(told(none.string(), path(one, "key")),
              ElementsAre(HasSubstr("none is no certificate in PEM")));
  EXPECT_THAT(told(path(one, "key"), path(one, "key")),
              ElementsAre(HasSubstr("one.key is no certificate in PEM")));
  EXPECT_THAT(told(path(one, "crt"), path(one, "crt")),
              ElementsAre(HasSubstr("one.crt is no private key in PEM")));
  EXPECT_THAT(told(path(one, "twice"), path(one, "key")),
              ElementsAre(HasSubstr("one.twice has a certificate that is broken")));
  EXPECT_THAT(told(path(one, "gone"), path(one, "key")),
              ElementsAre(HasSubstr("opening the certificate")));
  EXPECT_THAT(told(path(one, "crt"), directory_.string()), ElementsAre(HasSubstr("a directory")));
  EXPECT_THAT(told(path(one, "crt"), ""), ElementsAre(HasSubstr("go together")));
  EXPECT_THAT(told("", path(one, "key")), ElementsAre(HasSubstr("go together")));
}

TEST_F(LayersTest, HalfACertificateIsNoReasonToServeInClear) {
  const std::filesystem::path tls = directory_ / "state/tls";
  std::filesystem::create_directories(tls);
  write_certificate(tls / "server.crt", tls / "server.key");
  for (const char* const left : {"server.crt", "server.key"}) {
    const std::string kept = (tls / left).string();
    std::filesystem::rename(kept, kept + ".away");
    EXPECT_THAT(configured({"--config", file(""), "--state", (directory_ / "state").string(),
                            "--http", "127.0.0.1:8443"}),
                ElementsAre(AllOf(HasSubstr("opening"), HasSubstr(left))));
    std::filesystem::rename(kept + ".away", kept);
  }
}

TEST_F(LayersTest, ADirectoryThatIsTooDeepForItsSocketsWantsThemNamed) {
  const std::string deep = "/" + std::string(105, 'd');
  EXPECT_THAT(configured({"--config", file(""), "--state", deep}),
              ElementsAre(HasSubstr("/nbd.sock is longer"), HasSubstr("/control.sock is longer")));
  EXPECT_THAT(configured({"--config", file(""), "--state", deep, "--nbd", "unix:/run/nbd",
                          "--control", "unix:/run/control"}),
              IsEmpty());
}

}  // namespace
}  // namespace tools
