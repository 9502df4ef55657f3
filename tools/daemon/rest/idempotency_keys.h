// SPDX-License-Identifier: Apache-2.0
//
// IdempotencyKeys: a request that changes something and comes again with the same Idempotency-Key,
// since its client did not hear the answer, is not done again: it gets the answer of the first.
//
// Remembered for a day, in memory and so no longer than the daemon runs, each key for who asked
// with it alone, and by the same session or token: what one was answered may be more than another
// may have. Where there are more than there is room for, the oldest are forgotten. One thread.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "cdp/base/clock.h"
#include "cdp/base/result.h"
#include "journal/hash.h"
#include "tools/daemon/access/rights.h"
#include "tools/daemon/rest/http_message.h"

namespace tools {

class IdempotencyKeys {
 public:
  static constexpr std::size_t kKeyBytesMax = 255;
  static constexpr std::size_t kRememberedMax = 1024;

  explicit IdempotencyKeys(const cdp::Clock& clock) : clock_(clock) {}

  // The answer of the first request with the key, once it has ended; nothing for the first, which
  // must be followed by finish(). EINVAL where the key is none, or was another request's; EBUSY
  // while the first is under way.
  cdp::Result<std::optional<HttpResponse>> begin(const Principal& who, const HttpRequest& request);
  // `key` as the request had it. An answer of 5xx is not kept: it may be tried again.
  void finish(const Principal& who, const std::string& key, const HttpResponse& response);

 private:
  struct Entry {
    journal::Digest request{};
    cdp::Nanos began{};
    std::optional<HttpResponse> response{};
  };
  using Name = std::pair<std::string, std::string>;  // of who asked, and the key

  void make_room();

  const cdp::Clock& clock_;
  std::map<Name, Entry> entries_;
};

}  // namespace tools
