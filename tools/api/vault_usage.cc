// SPDX-License-Identifier: Apache-2.0
#include "tools/api/vault_usage.h"

#include <utility>
#include <vector>

#include "journal/format.h"

namespace tools::api {

using cdp::Result;
using cdp::Task;

Task<Result<VaultUsage>> UsageReader::read(cdp::Directory& segments) {
  Result<std::vector<std::string>> names = co_await segments.list();
  if (!names.ok()) co_return std::move(names).error();
  std::erase_if(*names, [](const std::string& name) { return !journal::segment_number(name); });
  VaultUsage usage;
  for (const std::string& name : *names) {
    std::uint64_t bytes = 0;
    if (const auto known = ended_.find(name); known != ended_.end()) {
      bytes = known->second;
    } else {
      auto disk = co_await segments.open(name, cdp::OpenMode::kReadOnly);
      if (!disk.ok()) co_return std::move(disk).error();
      bytes = (*disk)->size_bytes();
      // The newest two may not have been cut to their length yet.
      if (usage.segments + 2 < names->size()) ended_.emplace(name, bytes);
    }
    ++usage.segments;
    usage.bytes += bytes;
  }
  const Result<std::uint64_t> free = co_await segments.free_bytes();
  if (free.ok()) usage.free_bytes = *free;
  co_return usage;
}

}  // namespace tools::api
