// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cdp/base/utf8.h"
#include "tools/check/file_systems.h"
#include "tools/check/tool.h"

namespace check {
namespace {

TEST(CheckerTool, WhatItSaysIsMadePlain) {
  EXPECT_EQ(plain_tail("one\ntwo\t3\r\x1b[2J\x7f", 100), "one\ntwo 3[2J");
  EXPECT_EQ(plain_tail("a\xff\xc3\xa4\xc3z\xc2\x85", 100), "a?\xc3\xa4?z?");
  EXPECT_EQ(plain_tail("\xed\xa0\x80", 100), "???");
  EXPECT_EQ(plain_tail("", 100), "");
}

TEST(CheckerTool, OfWhatItSaysTheEndIsKept) {
  EXPECT_EQ(plain_tail("0123456789", 4), "6789");
  // No character is cut in two.
  EXPECT_EQ(plain_tail("\xf0\x9f\x90\x9f!", 4), "!");
  for (std::size_t most = 0; most < 20; ++most) {
    const std::string tail = plain_tail("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x9f\xc3\xa4", most);
    EXPECT_LE(tail.size(), most);
    EXPECT_TRUE(cdp::is_utf8(tail));
  }
}

TEST(CheckerTool, EveryTypeHasAToolOrAReason) {
  ASSERT_NE(tool_of("ext4"), nullptr);
  EXPECT_STREQ(tool_of("ext4")->name, "e2fsck");
  EXPECT_EQ(tool_of("swap"), nullptr);
  EXPECT_EQ(tool_of("EXT4"), nullptr);
  for (const char* type : {kUnknown, "swap", "LVM2_member", "crypto_LUKS", "zfs_member", ""})
    EXPECT_FALSE(why_not_checked(type).empty()) << type;
}

}  // namespace
}  // namespace check
