// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/tls/client_rights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/daemon/tls/tls_context.h"

namespace tools {
namespace {

using testing::HasSubstr;

const journal::Uuid kOne = *journal::Uuid::parse("11111111-1111-4111-8111-111111111111");
const journal::Uuid kTwo = *journal::Uuid::parse("22222222-2222-4222-8222-222222222222");

std::string checked(const std::string& text) {
  const auto taken = check_client_right(text);
  return taken.ok() ? *taken : "refused: " + taken.error().message;
}

TEST(ClientRights, WhatIsWrittenIsTaken) {
  EXPECT_EQ(checked("web1 live shop"), "web1 live shop");
  EXPECT_EQ(checked(" \tweb1   views\tshop "), "web1 views shop");
  EXPECT_EQ(checked("the web server live *"), "the web server live *");
  EXPECT_EQ(checked("web1 live id:11111111-1111-4111-8111-111111111111"),
            "web1 live id:11111111-1111-4111-8111-111111111111");
}

TEST(ClientRights, WhatIsNoRightIsRefused) {
  for (const char* const text : {"", " ", "web1", "live shop", "web1 live", "web1 shop",
                                 "web1 write shop", "web1 Live shop", "live live"}) {
    EXPECT_THAT(checked(text), HasSubstr("is no right: write")) << text;
  }
  for (const char* const text : {"web1 live /shop", "web1 live **", "web1 live id:1",
                                 "web1 views shop@lsn:5", "web1 live id:*"}) {
    EXPECT_THAT(checked(text), HasSubstr("refused: ")) << text;
  }
}

TEST(ClientRights, WhatNoTextGivesNobodyHas) {
  const ClientRights rights({"web1 live shop", "web1 views id:" + kTwo.to_string(), "all live *"});
  using enum ClientRight;
  EXPECT_TRUE(rights.allow("web1", kLive, "shop", kOne));
  EXPECT_FALSE(rights.allow("web1", kViews, "shop", kOne));
  EXPECT_FALSE(rights.allow("web1", kLive, "shop2", kOne));
  EXPECT_FALSE(rights.allow("web1", kLive, "sho", kOne));
  EXPECT_FALSE(rights.allow("web1", kLive, "other", kTwo));
  EXPECT_TRUE(rights.allow("web1", kViews, "other", kTwo));
  EXPECT_FALSE(rights.allow("web2", kLive, "shop", kOne));
  EXPECT_FALSE(rights.allow("Web1", kLive, "shop", kOne));
  EXPECT_TRUE(rights.allow("all", kLive, "anything", kTwo));
  EXPECT_FALSE(rights.allow("all", kViews, "anything", kTwo));
  EXPECT_FALSE(rights.allow("", kLive, "shop", kOne));
  EXPECT_FALSE(rights.allow("*", kLive, "shop", kOne));
  EXPECT_FALSE(ClientRights({}).allow("web1", kLive, "shop", kOne));
}

TEST(ClientRights, AClientsNameIsAllOfItAndNothingElse) {
  using enum ClientRight;
  const std::string nul(1, '\0');
  const ClientRights rights({"web live shop", "web1 live stock", "two words live pair"});
  for (const std::string& client :
       {std::string("we"), std::string("eb"), std::string("web2"), std::string("web11"),
        "web" + nul, "web" + nul + "1", nul + "web", std::string("web "), std::string(" web"),
        std::string("web live"), std::string("web live shop"), std::string("web,web1"),
        std::string("web*"), std::string("w.b"), std::string("WEB"), std::string("two"),
        std::string("words"), std::string("two  words")}) {
    for (const char* const volume : {"shop", "stock", "pair"})
      EXPECT_FALSE(rights.allow(client, kLive, volume, kOne)) << testing::PrintToString(client);
  }
  EXPECT_TRUE(rights.allow("web", kLive, "shop", kOne));
  EXPECT_FALSE(rights.allow("web", kLive, "stock", kOne));
  EXPECT_FALSE(rights.allow("web1", kLive, "shop", kOne));
  EXPECT_TRUE(rights.allow("two words", kLive, "pair", kOne));

  const ClientRights near({"web1 live *", "we live *", "Web live *", "web" + nul + " live *",
                           "web" + nul + "1 live *", nul + "web live *", "web web live *"});
  EXPECT_FALSE(near.allow("web", kLive, "shop", kOne));
  EXPECT_FALSE(near.allow("", kLive, "shop", kOne));
}

const std::string kKey(32, 'a');

TEST(PresharedKeys, AreLinesOfNamesAndDigits) {
  const auto keys =
      parse_preshared_keys("# who\n\nweb1:" + kKey + "\r\nweb:2:" + kKey + "FF\n", "F");
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ(keys->at("web1"), std::vector<unsigned char>(16, 0xaa));
  EXPECT_EQ(keys->at("web:2").back(), 0xff);
}

TEST(PresharedKeys, WhatIsWrongIsToldWithItsLine) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "F has no key in it"},
      {"# web1:" + kKey, "F has no key in it"},
      {"web1", "F:1: it takes NAME:KEY"},
      {":" + kKey, "F:1: it takes NAME:KEY"},
      {"web1:", "F:1: a key is 16 to 64 bytes"},
      {"web1:" + kKey.substr(2), "F:1: a key is 16 to 64 bytes"},
      {"web1:" + kKey + "a", "F:1: a key is 16 to 64 bytes"},
      {"web1:" + kKey.substr(2) + "xy", "F:1: a key is 16 to 64 bytes"},
      {"web1:" + std::string(130, 'a'), "F:1: a key is 16 to 64 bytes"},
      {"web1:" + kKey + "\nweb1:" + kKey, "F:2: web1 has a key already"},
  };
  for (const auto& [text, sentence] : cases) {
    const auto keys = parse_preshared_keys(text, "F");
    ASSERT_FALSE(keys.ok()) << text;
    EXPECT_THAT(keys.error().message, testing::StartsWith(sentence)) << text;
  }
}

}  // namespace
}  // namespace tools
