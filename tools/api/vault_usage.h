// SPDX-License-Identifier: Apache-2.0
//
// UsageReader: how large the journal is, by its directory. Lengths of segments that have ended are
// kept, as they do not change any more. One scheduler's thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "cdp/base/result.h"
#include "cdp/io/disk.h"
#include "cdp/io/task.h"

namespace tools::api {

struct VaultUsage {
  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;                    // of all segments
  std::optional<std::uint64_t> free_bytes{};  // what the file system has room for, where it says so
};

class UsageReader {
 public:
  cdp::Task<cdp::Result<VaultUsage>> read(cdp::Directory& segments);

 private:
  std::map<std::string, std::uint64_t> ended_;  // bytes, by name
};

}  // namespace tools::api
