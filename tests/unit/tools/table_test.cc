// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>

namespace tools::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

// Characters, of UTF-8.
std::size_t longest_line(const std::string& text) {
  std::size_t longest = 0;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    const auto is_first = [](char c) { return (static_cast<unsigned char>(c) & 0xc0u) != 0x80u; };
    longest = std::max(longest, static_cast<std::size_t>(std::ranges::count_if(line, is_first)));
  }
  return longest;
}

TEST(Table, ColumnsAreAsWideAsTheirWidestCellAndLinesHaveNoTrailingBlanks) {
  Table table{{"A", "LONG HEADING", "C"}};
  table.add({"\xe5\x89\x8d\xe5\x89\x8d", "x", "y"});
  table.add({"b", "", ""});
  EXPECT_EQ(table.text(),
            "A   LONG HEADING  C\n"
            "\xe5\x89\x8d\xe5\x89\x8d  x             y\n"
            "b\n");
}

TEST(Table, NoCellCommandsTheTerminal) {
  Table table{{"A"}};
  table.add({"x\x1b[31m\ny\xc2\x9bz \xe5\x89\x8d"});
  EXPECT_EQ(table.text(), "A\nx?[31m?y?z \xe5\x89\x8d\n");
}

TEST(Table, WithoutATerminalEverythingIsShown) {
  Table table{{"NAME", "DETAIL"}};
  table.add({"shop", std::string(5000, 'x')});
  EXPECT_EQ(longest_line(table.text(std::nullopt)), 5006u);
}

TEST(Table, FitsTheTerminal) {
  Table table{{"NAME", "WHAT", "ID"}};
  table.spare("ID").keep("NAME");
  table.add({"a-volume-of-a-long-name", std::string(30, 'w'), std::string(36, 'i')});
  table.add({"\xe5\x89\x8d", "\xe5\x89\x8d\xe5\x89\x8d", "id"});
  EXPECT_EQ(longest_line(table.text(200)), 93u);
  EXPECT_THAT(table.text(93), HasSubstr("iii"));
  // The spare one goes first, whole, and what people copy stays.
  EXPECT_EQ(longest_line(table.text(92)), 55u);
  EXPECT_THAT(table.text(92), Not(HasSubstr("ID")));
  for (std::size_t columns = 33; columns < 55; ++columns) {
    EXPECT_EQ(longest_line(table.text(columns)), columns);
    EXPECT_THAT(table.text(columns), HasSubstr("a-volume-of-a-long-name  www"));
    EXPECT_THAT(table.text(columns), HasSubstr("\xe5\x89\x8d\xe5\x89\x8d\n"));
  }
  // Shorter than this says nothing any more.
  EXPECT_EQ(table.text(5), table.text(33));
}

TEST(Fields, LongValuesGoOnBelowThemselves) {
  Fields fields;
  fields.add("name", "shop");
  fields.add("a problem", "the backing store of this volume cannot be reached any more");
  fields.add("path", "/a/path/without/any/place/to/break/it/at");
  EXPECT_EQ(fields.text(40),
            "name       shop\n"
            "a problem  the backing store of this\n"
            "           volume cannot be reached any\n"
            "           more\n"
            "path       /a/path/without/any/place/to/break/it/at\n");
  EXPECT_EQ(longest_line(fields.text(std::nullopt)), 70u);
  for (std::size_t columns = 1; columns < 100; ++columns) {
    std::string words = fields.text(columns);
    std::erase_if(words, [](char c) { return c == ' ' || c == '\n'; });
    EXPECT_THAT(words, HasSubstr("thebackingstoreofthisvolumecannotbereachedanymorepath/a/path"));
  }
}

}  // namespace
}  // namespace tools::cli
