// SPDX-License-Identifier: Apache-2.0
//
// Metrics: the appliance's figures as Prometheus scrapes them. Names follow its conventions: base
// units, counters end with _total. Counters begin anew with the daemon.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/types.h"
#include "cdp/io_statistics.h"
#include "cdp/volume.h"
#include "journal/index/time_index.h"
#include "journal/journal.h"

namespace tools {

inline constexpr std::string_view kMetricsMediaType = "text/plain; version=0.0.4; charset=utf-8";

// What is told of a volume; of one that is not served only its name and size.
struct VolumeFigures {
  std::string name;
  std::uint64_t size_bytes = 0;
  bool is_served = false;
  bool is_fenced = false;
  bool writers_refused = false;
  std::size_t connections = 0;
  cdp::VolumeStatistics volume{};
  cdp::IoStatistics io{};
};

struct Figures {
  std::string_view version;
  std::vector<VolumeFigures> volumes{};
  journal::JournalStatistics journal{};
  journal::JournalHealth health{};
  cdp::Nanos lag{};  // how old the oldest change is that a crash would lose now
  journal::index::TimeIndexStatistics index{};
  std::size_t crashes = 0;
  std::size_t alerts = 0;
  std::size_t open_views = 0;
  std::size_t clones = 0;
  std::uint64_t segments = 0;
  std::uint64_t vault_bytes = 0;
  std::optional<std::uint64_t> vault_free_bytes{};
  cdp::Nanos oldest{};  // of history, wall-clock time
  cdp::Nanos newest{};
};

std::string metrics_text(const Figures& figures);

}  // namespace tools
