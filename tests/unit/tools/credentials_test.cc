// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tools/cli/daemon_access.h"

namespace tools::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr char kServer[] = "https://vault.example:8443";

mode_t mode_of(const fs::path& path) {
  struct stat about{};
  EXPECT_EQ(::stat(path.c_str(), &about), 0) << path;
  return about.st_mode & 07777u;
}

class CredentialsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "hindsight_credentials_XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    ::setenv("XDG_CONFIG_HOME", (root_ / "config").c_str(), 1);
    ::unsetenv("HINDSIGHT_TOKEN");
  }
  void TearDown() override {
    ::unsetenv("XDG_CONFIG_HOME");
    ::unsetenv("HINDSIGHT_TOKEN");
    fs::remove_all(root_);
  }
  static CredentialStore store() { return cdp::value_or_throw(CredentialStore::of_user()); }
  static StoredLogin login() { return {"alice", "hs_1", "t1", "2026-11-25T02:00:00Z", {}}; }

  fs::path root_;
};

TEST_F(CredentialsTest, WhatIsKeptIsFoundByItsServer) {
  EXPECT_FALSE(cdp::value_or_throw(store().find(kServer)).has_value());
  cdp::value_or_throw(store().keep(kServer, login()));
  cdp::value_or_throw(store().keep("https://other:1", {"bob", {}, {}, {}, "a CA"}));
  const auto alice = cdp::value_or_throw(store().find(kServer));
  ASSERT_TRUE(alice.has_value());
  EXPECT_EQ(alice->user, "alice");
  EXPECT_EQ(alice->token, "hs_1");
  EXPECT_EQ(alice->token_id, "t1");
  EXPECT_EQ(alice->expires, "2026-11-25T02:00:00Z");
  const auto bob = cdp::value_or_throw(store().find("https://other:1"));
  ASSERT_TRUE(bob.has_value());
  EXPECT_EQ(bob->token, "");
  EXPECT_EQ(bob->ca_pem, "a CA");
  EXPECT_FALSE(cdp::value_or_throw(store().find("https://vault.example:1")).has_value());
}

TEST_F(CredentialsTest, TheyAreTheUsersAlone) {
  const mode_t before = ::umask(0);
  cdp::value_or_throw(store().keep(kServer, login()));
  ::umask(before);
  EXPECT_EQ(mode_of(store().path()), 0600u);
  EXPECT_EQ(mode_of(fs::path{store().path()}.parent_path()), 0700u);
}

TEST_F(CredentialsTest, AFileThatOthersCanReadIsRefused) {
  cdp::value_or_throw(store().keep(kServer, login()));
  for (const mode_t mode : {0640u, 0604u, 0620u}) {
    ASSERT_EQ(::chmod(store().path().c_str(), mode), 0);
    const auto refused = store().find(kServer);
    ASSERT_FALSE(refused.ok()) << mode;
    EXPECT_EQ(refused.error().code, EPERM);
    EXPECT_THAT(refused.error().message, HasSubstr("chmod 600"));
    EXPECT_FALSE(store().keep(kServer, login()).ok());
  }
}

TEST_F(CredentialsTest, WhatNobodyWroteIsRefusedAndLeftAsItIs) {
  cdp::value_or_throw(store().keep(kServer, login()));
  for (const char* bad : {"", "[]", "{", R"({"servers": 7})"}) {
    std::ofstream{store().path()} << bad;
    EXPECT_THAT(store().find(kServer).error().message, HasSubstr("sign in again")) << bad;
    EXPECT_FALSE(store().keep(kServer, login()).ok()) << bad;
  }
  fs::remove(store().path());
  fs::create_symlink("/dev/null", store().path());
  EXPECT_FALSE(store().find(kServer).ok());
}

TEST_F(CredentialsTest, TheyLieWhereTheEnvironmentSays) {
  EXPECT_EQ(store().path(), (root_ / "config/hindsight/credentials.json").string());
  ::setenv("XDG_CONFIG_HOME", "relative", 1);
  ::setenv("HOME", "/home/alice", 1);
  EXPECT_EQ(store().path(), "/home/alice/.config/hindsight/credentials.json");
  ::unsetenv("HOME");
  EXPECT_FALSE(CredentialStore::of_user().ok());
}

TEST_F(CredentialsTest, AUnixSocketNeedsNone) {
  cdp::value_or_throw(store().keep(kServer, login()));
  ASSERT_EQ(::chmod(store().path().c_str(), 0644), 0);
  CommandLine line;
  line.server = "unix:/x";
  EXPECT_TRUE(make_client(line).ok());
  line.server = kServer;
  EXPECT_FALSE(make_client(line).ok());
}

TEST_F(CredentialsTest, TheCaThatIsNamedMustHoldACertificate) {
  CommandLine line;
  line.server = kServer;
  line.ca_file = (root_ / "none").string();
  EXPECT_THAT(make_client(line).error().message, HasSubstr("No such file"));
  std::ofstream{root_ / "none"} << "hello";
  EXPECT_THAT(make_client(line).error().message, HasSubstr("no certificate"));
}

}  // namespace
}  // namespace tools::cli
