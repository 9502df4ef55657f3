// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/backing_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace tools {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class BackingPlaceTest : public testing::Test {
 protected:
  BackingPlaceTest() {
    std::string name = (fs::temp_directory_path() / "hindsight_place_XXXXXX").string();
    root_ = fs::canonical(::mkdtemp(name.data()));
    for (const char* directory : {"allowed", "vault", "elsewhere"})
      fs::create_directory(root_ / directory);
    for (const char* file : {"allowed/disk", "vault/VAULT", "elsewhere/disk"}) {
      std::ofstream{root_ / file} << "content";
    }
    places_ = {.allowed = {path("allowed")}, .own = {path("vault")}};
  }
  ~BackingPlaceTest() override { fs::remove_all(root_); }

  std::string path(const std::string& name) const { return (root_ / name).string(); }
  // 0, or the error's code.
  int judged(const std::string& name) {
    const cdp::Status status = check_backing_place(name, places_);
    sentence_ = status.ok() ? "" : status.error().message;
    return status.ok() ? 0 : status.error().code;
  }

  fs::path root_;
  BackingPlaces places_;
  std::string sentence_;
};

TEST_F(BackingPlaceTest, WhatLiesInAnAllowedDirectoryIsAllowed) {
  EXPECT_EQ(judged(path("allowed/disk")), 0);
  EXPECT_EQ(judged(path("allowed/not/there/yet")), 0);
  EXPECT_EQ(judged(path("allowed/../allowed/disk")), 0);
  places_.allowed = {path("elsewhere/disk")};
  EXPECT_EQ(judged(path("elsewhere/disk")), 0) << "one that is named itself";
  places_.allowed = {"/"};
  EXPECT_EQ(judged(path("elsewhere/disk")), 0);
}

TEST_F(BackingPlaceTest, WhatLiesElsewhereIsRefused) {
  EXPECT_EQ(judged(path("elsewhere/disk")), EPERM);
  EXPECT_THAT(sentence_, HasSubstr("allowed_paths"));
  EXPECT_THAT(sentence_, HasSubstr(path("allowed")));
  EXPECT_EQ(judged(path("elsewhere/not there")), EPERM) << "nothing is said of what there is";
  EXPECT_EQ(judged(path("allowed-too")), EPERM);
  EXPECT_EQ(judged(root_.string()), EPERM);
  places_.allowed = {};
  EXPECT_EQ(judged(path("allowed/disk")), EPERM);
  EXPECT_THAT(sentence_, HasSubstr("none"));
}

TEST_F(BackingPlaceTest, DotsLeadNowhereElse) {
  EXPECT_EQ(judged(path("allowed/../elsewhere/disk")), EPERM);
  EXPECT_THAT(sentence_, HasSubstr(path("elsewhere/disk")));
  EXPECT_EQ(judged(path("allowed/./../vault/VAULT")), EPERM);
  EXPECT_EQ(judged(path("allowed/../../../../../../../../etc/passwd")), EPERM);
  EXPECT_EQ(judged(path("allowed/missing/../../elsewhere/disk")), EPERM);
  EXPECT_EQ(judged("allowed/disk"), EINVAL);
  EXPECT_EQ(judged(""), EINVAL);
}

TEST_F(BackingPlaceTest, LinksAreFollowedBeforeTheyAreJudged) {
  fs::create_symlink(root_ / "elsewhere", root_ / "allowed/directory");
  fs::create_symlink("../elsewhere/disk", root_ / "allowed/file");
  fs::create_symlink("../elsewhere/to come", root_ / "allowed/dangling");
  fs::create_symlink("loop", root_ / "allowed/loop");
  fs::create_symlink(root_ / "allowed/disk", root_ / "elsewhere/back");
  EXPECT_EQ(judged(path("allowed/directory/disk")), EPERM);
  EXPECT_EQ(judged(path("allowed/file")), EPERM);
  EXPECT_EQ(judged(path("allowed/dangling")), 0) << "there is nothing to be opened there";
  EXPECT_EQ(judged(path("allowed/loop")), EINVAL);
  EXPECT_EQ(judged(path("elsewhere/back")), 0);
  // A link may be what is allowed; then where it leads is.
  places_.allowed = {path("allowed/directory")};
  EXPECT_EQ(judged(path("elsewhere/disk")), 0);
  EXPECT_EQ(judged(path("allowed/disk")), EPERM);
}

TEST_F(BackingPlaceTest, WhatIsTheAppliancesOwnIsRefusedWhateverIsAllowed) {
  places_.allowed = {"/", path("vault")};
  fs::create_symlink(root_ / "vault", root_ / "allowed/link");
  fs::create_symlink(root_ / "vault", root_ / "vault-by-link");
  EXPECT_EQ(judged(path("vault/VAULT")), EPERM);
  EXPECT_THAT(sentence_, HasSubstr("the appliance's own"));
  EXPECT_EQ(judged(path("vault")), EPERM);
  EXPECT_EQ(judged(path("allowed/link/VAULT")), EPERM);
  EXPECT_EQ(judged(path("vault-by-link/segments/new")), EPERM);
  places_.own = {path("vault-by-link")};
  EXPECT_EQ(judged(path("vault/VAULT")), EPERM);
  EXPECT_EQ(judged(path("vaults")), 0);
}

}  // namespace
}  // namespace tools
