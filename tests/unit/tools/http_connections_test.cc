// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/http_connections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace tools {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class HttpConnectionsTest : public testing::Test {
 protected:
  // -1 where there is no room.
  int open(const std::string& network) {
    const int number = static_cast<int>(members_.size());
    members_.push_back(std::make_unique<HttpConnections::Member>(
        network, [this, number] { closed_.push_back(number); }));
    return connections_.admit(*members_.back()) ? number : -1;
  }
  HttpConnections::Member& at(int number) { return *members_[static_cast<std::size_t>(number)]; }

  HttpConnections connections_{{.all = 4, .of_one_network = 2}};
  std::vector<std::unique_ptr<HttpConnections::Member>> members_;
  std::vector<int> closed_;
};

TEST_F(HttpConnectionsTest, WhoHasTooManyLosesTheOneThatWasQuietLongest) {
  open("a");
  open("b");
  open("a");
  connections_.become_busy(at(0));
  connections_.become_quiet(at(0));
  EXPECT_EQ(open("a"), 3);
  EXPECT_THAT(closed_, ElementsAre(2));
  EXPECT_EQ(open("a"), 4);
  EXPECT_THAT(closed_, ElementsAre(2, 0)) << "b's is older, and not in the way";
}

TEST_F(HttpConnectionsTest, WhereNoneOfItsOwnIsQuietTheNewOneIsRefused) {
  open("quiet");
  connections_.become_busy(at(open("a")));
  connections_.become_busy(at(open("a")));
  EXPECT_EQ(open("a"), -1);
  EXPECT_THAT(closed_, IsEmpty());
  EXPECT_EQ(open("b"), 4);
}

TEST_F(HttpConnectionsTest, WhenItIsFullTheQuietestOfAllMakesRoom) {
  for (const char* const network : {"a", "a", "b", "b"}) open(network);
  connections_.become_busy(at(0));
  EXPECT_EQ(open("c"), 4);
  EXPECT_THAT(closed_, ElementsAre(1));
  for (const int number : {2, 3, 4}) connections_.become_busy(at(number));
  EXPECT_EQ(open("d"), -1);
  EXPECT_EQ(connections_.size(), 4u);
}

TEST_F(HttpConnectionsTest, ProcessesOfThisMachineAreCountedTogetherWithAllOnly) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(open(""), i);
  EXPECT_THAT(closed_, IsEmpty());
  EXPECT_EQ(open(""), 4);
  EXPECT_THAT(closed_, ElementsAre(0));
}

TEST_F(HttpConnectionsTest, WhatMadeRoomIsNotCountedAndMayLeaveLater) {
  for (int i = 0; i < 3; ++i) open("a");
  EXPECT_THAT(closed_, ElementsAre(0));
  EXPECT_EQ(connections_.size(), 2u);
  connections_.remove(at(0));
  EXPECT_EQ(connections_.size(), 2u);
  connections_.remove(at(1));
  EXPECT_EQ(connections_.size(), 1u);
  closed_.clear();
  connections_.close_all();
  EXPECT_THAT(closed_, ElementsAre(2));
}

}  // namespace
}  // namespace tools
