// SPDX-License-Identifier: Apache-2.0
//
// What one hostile session does to an NBD server: the bytes that it sends, how fast, whether it
// listens, and how it leaves. A session is a function of its seed alone, so that one that broke a
// server can be had again. It begins as a valid negotiation with valid requests behind it, of which
// every kind is made with hostile parameters as well, and is then damaged in one of several ways or
// left as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace hostile {

using Random = std::mt19937_64;

inline std::uint64_t below(Random& random, std::uint64_t limit) { return random() % limit; }
inline bool one_in(Random& random, std::uint64_t n) { return below(random, n) == 0; }

struct Target {
  std::vector<std::string> names;  // exports, views and clones that may be hurt
  std::uint64_t size_bytes = 0;    // of each
};

struct Script {
  enum class End : std::uint8_t {
    kClose,      // close(2), with replies unread as often as not
    kReset,      // a RST on TCP
    kHalfClose,  // shutdown of the sending side, then waiting for the server to end it
    kHold,       // stays open, silent, until its time is over
  };
  bool tcp = false;
  bool listens = false;        // takes replies from its socket
  std::size_t step_bytes = 0;  // of each send of a slow client; 0: everything at once
  unsigned pause_ms = 0;       // between those
  unsigned linger_ms = 0;      // from the last byte sent to the end
  End end = End::kClose;
  std::string bytes;
};

Script make_script(std::uint64_t seed, const Target& target);

// The parts, for polite sessions too.
void put_client_flags(std::string& to, std::uint32_t flags);
void put_option(std::string& to, std::uint32_t option, std::string_view data);
std::string go_data(std::string_view name);
void put_request(std::string& to, std::uint16_t flags, std::uint16_t command, std::uint64_t cookie,
                 std::uint64_t offset, std::uint32_t length);

}  // namespace hostile
