// SPDX-License-Identifier: Apache-2.0
#include "restore/pulse_sum.h"

#include <algorithm>
#include <cmath>

namespace restore {
namespace {

using journal::PulseRecord;

std::uint8_t mean(double sum, double weight) {
  return weight > 0 ? static_cast<std::uint8_t>(std::lround(sum / weight)) : PulseRecord::kUnknown;
}

}  // namespace

void PulseSum::add(const PulseRecord& pulse) {
  ++pulses_;
  counts_.writes += pulse.writes;
  counts_.flushes += pulse.flushes;
  counts_.written_blocks += pulse.written_blocks;
  counts_.zeroed_blocks += pulse.zeroed_blocks;
  counts_.trimmed_blocks += pulse.trimmed_blocks;
  counts_.stored_blocks += pulse.stored_blocks;
  counts_.stored_bytes += pulse.stored_bytes;
  if (pulse.overwritten != PulseRecord::kUnknown) {
    const auto blocks = static_cast<double>(pulse.written_blocks);
    overwritten_ += pulse.overwritten * blocks;
    overwritten_blocks_ += blocks;
  }
  if (pulse.entropy != PulseRecord::kUnknown) {
    const auto blocks = static_cast<double>(pulse.stored_blocks);
    entropy_ += pulse.entropy * blocks;
    entropy_blocks_ += blocks;
  }
  if (pulse.p99 != PulseRecord::kUnknown)
    counts_.p99 =
        counts_.p99 == PulseRecord::kUnknown ? pulse.p99 : std::max(counts_.p99, pulse.p99);
}

PulseRecord PulseSum::total() const {
  PulseRecord total = counts_;
  total.overwritten = mean(overwritten_, overwritten_blocks_);
  total.entropy = mean(entropy_, entropy_blocks_);
  return total;
}

}  // namespace restore
