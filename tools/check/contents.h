// SPDX-License-Identifier: Apache-2.0
//
// What a device holds, as libblkid names it: a partition table, and what is in the device itself or
// in each of its partitions. It parses what somebody may have written to break it, as tools do, and
// has no more rights: a process of its own looks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace check {

struct PartitionTable {
  std::string type;
  std::string id;  // empty where it has none
};

struct Area {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::optional<int> partition{};
  std::string type{};  // of libblkid; "unknown" where it names none
  std::string label{};
  std::string uuid{};
};

struct Contents {
  std::optional<PartitionTable> table{};
  // Where there is nothing known in the device itself, its partitions alone.
  std::vector<Area> areas{};
};

inline constexpr char kUnknown[] = "unknown";

// In the sandbox. Throws where the device cannot be read.
Contents contents_of(const std::string& path, std::uint64_t bytes);

}  // namespace check
