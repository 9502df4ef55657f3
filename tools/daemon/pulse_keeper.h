// SPDX-License-Identifier: Apache-2.0
//
// PulseKeeper: turns what the journal has metered into PULSE records, soon after each second in
// which a volume changed; and adds them up to those of minutes, hours and days, which are recorded
// when they are over.
//
// A stop records what there is of the current minute, hour and day. What it could not record, as
// after an end by force, or as the vault was full, is found and recorded at the next start, before
// anything else (restore/missing_pulses.h): counts are then as they would have been; flushes,
// latencies and entropy are not known any more. While it runs, what cannot be recorded is kept and
// tried again.
//
// On the scheduler's thread. All that it is given must outlive it; stop() must have returned before
// it is destroyed.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/base/result.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/io_statistics.h"
#include "cdp/sequencer.h"
#include "journal/index/time_index.h"
#include "journal/journal.h"
#include "restore/pulse_sum.h"

namespace tools {

class PulseKeeper {
 public:
  // What was asked of a volume since it was opened; null where it is not served.
  using StatisticsOf = std::function<const cdp::IoStatistics*(cdp::VolumeId)>;

  struct Parts {
    cdp::Scheduler& scheduler;
    const cdp::Clock& clock;
    cdp::Sequencer& sequencer;
    journal::Journal& journal;
    journal::index::TimeIndex& index;
    StatisticsOf statistics_of;
  };
  explicit PulseKeeper(Parts parts);

  // Begins it.
  void start() {
    is_catching_up_ = true;
    running_.spawn(run());
  }
  // Whether all that is over is recorded, or about to be; else pulses lack what happened lately, or
  // before the start.
  bool is_up_to_date() const { return !is_catching_up_ && pending_.empty(); }
  // One look at the seconds before `before`, and at the sums that are over by then: for who makes
  // time pass himself, and has not begun it.
  cdp::Task<void> look(std::int64_t before);
  // Records all that there is. Nobody may change a volume any more.
  cdp::Task<void> stop();

 private:
  static constexpr std::size_t kSums = 3;  // of a minute, an hour, a day
  struct Sum {
    std::int64_t begin = 0;
    restore::PulseSum sum{};
  };
  // What clients have asked for since the device was opened.
  struct Asked {
    std::uint64_t flushes = 0;
    std::array<std::uint64_t, cdp::IoStatistics::kBounds.size() + 1> writes_by_latency{};
  };
  // What is known of a volume that is served, or has changed lately.
  struct Known {
    std::array<Sum, kSums> sums{};
    // Up to the last look but one, and the last one, or the newest pulse if it is later: a change
    // may come with the second look after it, and what was asked for without any is no part of one.
    Asked told{};
    Asked seen{};
  };

  cdp::Task<void> run();
  cdp::Task<void> catch_up();
  cdp::Task<cdp::Status> record_missing();
  cdp::Task<void> sleep_for(cdp::Nanos length);
  void know_served();
  // Nothing where it is not served.
  Asked asked_of(cdp::VolumeId volume) const;
  void add_asked(journal::PulseRecord& pulse, Known& known) const;
  void add_up(const journal::PulseRecord& pulse, Known& known);
  void end_sum(cdp::VolumeId volume, Known& known, std::size_t which);
  // Puts the sums that are over before `before` to what is to be recorded.
  void end_sums(cdp::VolumeId volume, Known& known, std::int64_t before);
  void record_pending();
  Parts parts_;
  std::map<cdp::VolumeId, Known> known_;
  std::deque<journal::PulseRecord> pending_;  // not recorded yet
  bool is_catching_up_ = false;
  bool stopping_ = false;
  cdp::Signal stop_;
  cdp::TaskGroup running_;
};

}  // namespace tools
