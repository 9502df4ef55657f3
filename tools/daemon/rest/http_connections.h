// SPDX-License-Identifier: Apache-2.0
//
// HttpConnections: how many connections a server has, and which of them goes when there is no room
// for another: the one that has been quiet longest, that is, of which a request is awaited and
// nothing of it is there. So who opens connections and says nothing shuts out nobody, and who opens
// many gets in his own way before he gets in others'. Of one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>

namespace tools {

class HttpConnections {
 public:
  struct Limits {
    std::size_t all;
    std::size_t of_one_network;
  };
  // A connection; quiet at first.
  class Member {
   public:
    // `network` is whose connections are counted together; nobody's where it is empty. `close`
    // ends the connection and must not call back.
    Member(std::string network, std::function<void()> close)
        : network_(std::move(network)), close_(std::move(close)) {}

   private:
    friend class HttpConnections;
    std::string network_;
    std::function<void()> close_;
    bool is_quiet_ = true;
    std::uint64_t quiet_since_ = 0;  // a count of what has become quiet
  };

  explicit HttpConnections(Limits limits) : limits_(limits) {}

  // False where there is no room and none is quiet. A member stays where it is until `remove`.
  bool admit(Member& member);
  void become_quiet(Member& member);
  void become_busy(Member& member) { member.is_quiet_ = false; }
  // Also of one that had to make room.
  void remove(Member& member) { open_.erase(&member); }
  // Of all that are open.
  void close_all();
  std::size_t size() const { return open_.size(); }

 private:
  // Null: the quietest of all.
  bool close_quietest(const std::string* network);

  const Limits limits_;
  std::set<Member*> open_;
  std::uint64_t became_quiet_ = 0;
};

}  // namespace tools
