// SPDX-License-Identifier: Apache-2.0
//
// How far long work has come, on stderr: a bar that redraws itself on a terminal, and otherwise a
// plain line every ten seconds, so that logs stay readable. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tools::cli {

// "restoring shop: 1.5G of 4.0G, 512.0M/s, 5.0 s left"; `all_bytes` 0: not known, and nothing is
// said of what is left, nor before the first byte.
std::string progress_text(const std::string& what, std::uint64_t done_bytes,
                          std::uint64_t all_bytes, double elapsed_seconds);

class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();  // takes the bar away
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Cheap; draws now and then. `all_bytes` 0: not known.
  void update(std::uint64_t done_bytes, std::uint64_t all_bytes);

 private:
  using Clock = std::chrono::steady_clock;

  const std::string what_;
  const bool on_terminal_;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point next_ = started_;
  bool drawn_ = false;
};

}  // namespace tools::cli
