// SPDX-License-Identifier: Apache-2.0
//
// Sessions of people who signed in, by the secret in their cookie. They end after half an hour
// without a request and after twelve hours in any case, and with the daemon.
//
// Of a secret its SHA-256 is kept alone. Bounded: of one user the session that was idle longest
// makes room for a new one. One thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "cdp/base/clock.h"
#include "journal/hash.h"

namespace tools {

// 256 random bits in URL-safe Base64: of cookies and tokens.
std::string random_secret();
// What is kept of one.
journal::Digest digest_of_secret(std::string_view secret);
// Without telling by its time how much of it is right.
bool is_same_secret(std::string_view one, std::string_view other);

class Sessions {
 public:
  explicit Sessions(const cdp::Clock& clock) : clock_(clock) {}

  struct Session {
    std::string user;
    std::string csrf_token;
    cdp::Nanos began{};  // by the clock since boot, as the next
    cdp::Nanos used{};

    // How long it lasts at most, without another request.
    cdp::Nanos ends() const;
  };

  // Gives the secret.
  std::string begin(const std::string& user);
  // Without that counting as use.
  bool is_alive(std::string_view secret) const;
  // And notes that it was used. Null where there is none, or it has ended.
  const Session* find(std::string_view secret);
  void end(std::string_view secret);
  void end_all_of(const std::string& user);
  std::size_t size() const { return sessions_.size(); }

 private:
  static constexpr std::size_t kOfOneUserMax = 32;

  void end_the_old();
  void make_room(const std::string& user);

  const cdp::Clock& clock_;
  std::map<journal::Digest, Session> sessions_;
};

}  // namespace tools
