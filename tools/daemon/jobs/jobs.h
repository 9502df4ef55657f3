// SPDX-License-Identifier: Apache-2.0
//
// Jobs: the long work of the daemon, for whoever wants to know how far it is, to end it, or to see
// afterwards what came of it. Who does the work says how far it is; this keeps it.
//
// Jobs are kept in a small file of the state directory (`jobs`), the newest kEndedMax that have
// ended: what a job came to is told once it is there, so that it survives whatever follows. What
// was under way when the daemon ended is *interrupted* at the next start, but for a hydration,
// which goes on and stays the same job. A file that cannot be read costs the list, nothing else.
// Numbers are never given twice.
//
// On the scheduler's thread; what is passed in must outlive it.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/base/result.h"
#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"

namespace tools {

struct Job {
  enum class Kind : std::uint8_t { kVerify, kHydration, kRestore, kCheck };
  enum class State : std::uint8_t { kRunning, kDone, kFailed, kCancelled, kInterrupted };

  std::uint64_t id = 0;
  Kind kind = Kind::kVerify;
  State state = State::kRunning;
  std::string volume{};     // its name when the job began; empty: of the whole vault
  std::string volume_id{};  // its uuid
  std::string by{};         // who began it
  cdp::Nanos began{};       // wall clock
  cdp::Nanos ended{};
  std::uint64_t done_bytes = 0;
  std::uint64_t total_bytes = 0;  // 0: not known
  std::string doing{};            // what it is at, in words, where it says so
  boost::json::object result{};   // of one that is done
  std::string problem{};          // of one that is not: a sentence
  bool is_cancel_wanted = false;
  double bytes_per_second = 0;  // lately
  cdp::Nanos measured{};        // scheduler's time, of the rate
  std::uint64_t measured_bytes = 0;

  bool is_running() const { return state == State::kRunning; }
  // How long the rest will take; nothing where that cannot be told.
  std::optional<cdp::Nanos> time_left() const;
};
std::string_view name_of(Job::Kind kind);
std::string_view name_of(Job::State state);

class Jobs {
 public:
  static constexpr std::size_t kEndedMax = 200;
  static constexpr std::size_t kResultBytesMax = 64u << 10;

  Jobs(cdp::Scheduler& scheduler, const cdp::Clock& clock, cdp::Directory& state);

  // What is known from before. To be called once, first.
  cdp::Task<void> load();
  // Waits until all is written.
  cdp::Task<void> stop();

  // A new one that runs. `what` needs its kind, volume, and by whom.
  std::uint64_t begin(Job what);
  void progress(std::uint64_t id, std::uint64_t done_bytes, std::uint64_t total_bytes);
  void say_doing(std::uint64_t id, const std::string& doing);
  // It has ended so. When this returns it is kept, or a warning has said why not.
  cdp::Task<void> end(std::uint64_t id, Job::State state, boost::json::object result,
                      std::string problem);
  // Has it ended soon, by who does its work. ENOENT: there is no such job; EBUSY: it has ended, or
  // is none that can be ended.
  cdp::Status cancel(std::uint64_t id);

  const Job* find(std::uint64_t id) const;
  bool is_cancel_wanted(std::uint64_t id) const;
  // Of a kind, that runs; of the volume, where one is named.
  const Job* running(Job::Kind kind, std::string_view volume_id) const;
  // By number.
  const std::map<std::uint64_t, Job>& all() const { return jobs_; }
  // Changes with every change of any job.
  std::uint64_t version() const { return version_; }

 private:
  void changed();
  void forget_oldest();
  cdp::Task<void> save();
  cdp::Task<void> write();
  std::vector<std::byte> encoded() const;
  cdp::Status decode(const std::vector<std::byte>& bytes);

  cdp::Scheduler& scheduler_;
  const cdp::Clock& clock_;
  cdp::Directory& state_;
  std::map<std::uint64_t, Job> jobs_;
  std::map<std::uint64_t, Job> ending_;  // as they will be once that is kept
  std::uint64_t next_id_ = 1;
  // A number is told before it is written: what is written is further on than any that can be told
  // meanwhile. A clean stop leaves no gap.
  static constexpr std::uint64_t kNumbersAhead = 1000;
  std::uint64_t numbers_ahead_ = kNumbersAhead;
  std::uint64_t version_ = 0;
  // Writes follow one another; who waits is told of the first that began after it came.
  std::uint64_t wanted_ = 0;
  std::uint64_t written_ = 0;
  bool writing_ = false;
  cdp::Signal wrote_;
  cdp::TaskGroup writes_;
};

}  // namespace tools
