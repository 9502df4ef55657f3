// SPDX-License-Identifier: Apache-2.0
//
// SignInLimits: how often somebody may guess. After five wrong passwords in a row for one name the
// next attempt has to wait, a second first and twice as long after each further one, up to a
// quarter of an hour; so does every attempt from an address after twenty. A right password ends the
// waiting of its name; of its address it is only not counted.
//
// Names are those that were tried, whether there is such a user or not: who guesses learns nothing
// of it. Bounded: where more are remembered than there is room for, those go that tried longest
// ago. One thread.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "cdp/base/clock.h"
#include "cdp/base/types.h"

namespace tools {

class SignInLimits {
 public:
  static constexpr std::size_t kRememberedMax = 4096;  // of names, and of addresses

  explicit SignInLimits(const cdp::Clock& clock) : clock_(clock) {}

  // How long an attempt has to wait yet; 0: it may be made now. An empty address has no limit: at
  // the control socket the kernel has said who it is.
  cdp::Nanos wait(const std::string& name, const std::string& address) const;
  // An attempt begins. It counts as failed until it has succeeded, so that many at once are as many
  // as one after the other.
  void begin(const std::string& name, const std::string& address);
  void succeeded(const std::string& name, const std::string& address);

 private:
  struct Failures {
    unsigned count = 0;
    cdp::Nanos last{};
  };
  using Table = std::map<std::string, Failures>;

  cdp::Nanos wait(const Table& table, const std::string& key, unsigned free) const;
  void count(Table& table, const std::string& key);

  const cdp::Clock& clock_;
  Table names_;
  Table addresses_;
};

}  // namespace tools
