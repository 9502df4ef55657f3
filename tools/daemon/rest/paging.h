// SPDX-License-Identifier: Apache-2.0
//
// Pages of lists that grow. A request says from where on ("after", or "before" where the newest
// come first) and how many at most ("limit"); an answer that does not end the list has the same
// member again, with what the next request is to say. What is added or removed meanwhile moves no
// page.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "cdp/base/result.h"
#include "tools/daemon/rest/operation.h"

namespace tools {

struct PageSize {
  std::size_t without;  // a limit
  std::size_t most;
};

// EINVAL where "limit" is none.
inline cdp::Result<std::size_t> limit_of(const Arguments& arguments, PageSize size) {
  if (!arguments.has("limit")) return size.without;
  const auto limit = arguments.get<std::uint64_t>("limit");
  if (limit < 1 || limit > size.most)
    return cdp::make_error(EINVAL, "\"limit\" is 1 to {}, not {}", size.most, limit);
  return std::size_t{limit};
}

// Of a list in order, the first `limit` of those that come behind. `is_behind` is false of the ones
// before them.
template <typename T, typename IsBehind>
std::span<const T> page_of(const std::vector<T>& all, IsBehind is_behind, std::size_t limit) {
  const auto first =
      std::ranges::partition_point(all, [&](const T& each) { return !is_behind(each); });
  const auto behind = static_cast<std::size_t>(all.end() - first);
  return {first, first + static_cast<std::ptrdiff_t>(std::min(behind, limit))};
}

}  // namespace tools
