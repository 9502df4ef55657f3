// SPDX-License-Identifier: Apache-2.0
//
// verify: whether a vault's history is what was written. The chain of digests through all
// segments is checked by reading headers and records; a deep check also reads every body, hashes
// it, decompresses every run and compares the fingerprint of every stored block and of every
// reference's target. It changes nothing and works beside a running daemon.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "journal/vault_reader.h"

namespace journal {

struct VerifyReport {
  std::uint64_t segments = 0;
  std::uint64_t frames = 0;
  std::uint64_t records = 0;
  std::uint64_t runs = 0;        // deep only
  std::uint64_t blocks = 0;      // deep only: stored blocks whose fingerprint was compared
  std::uint64_t references = 0;  // deep only: references whose target was compared
  std::uint64_t bytes = 0;       // used bytes of the segments looked at
  std::uint64_t bytes_read = 0;
  Lsn last_lsn{};
  std::uint64_t crashes = 0;            // CRASH records met
  std::uint64_t unsigned_segments = 0;  // no signed heads in this version: all of them
  std::vector<std::string> problems{};  // sentences; empty: everything is as it was written
  std::uint64_t problems_left_out = 0;  // beyond the first kMaxProblems

  static constexpr std::size_t kMaxProblems = 100;
  bool ok() const { return problems.empty(); }
};

struct VerifyOptions {
  bool deep = false;
  // Told after each segment: bytes done, bytes in all.
  std::function<void(std::uint64_t, std::uint64_t)> progress{};
  // Asked after each frame; true ends it with ECANCELED.
  std::function<bool()> is_cancelled{};
};

// An error only where the vault cannot be looked at at all; what is wrong with it is in the report.
Task<Result<VerifyReport>> verify(cdp::Scheduler& scheduler, cdp::Directory& segments, Vault vault,
                                  VerifyOptions options);

}  // namespace journal
