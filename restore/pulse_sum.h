// SPDX-License-Identifier: Apache-2.0
//
// PulseSum: several pulses as one. Counts add up; the estimates are means by what they are
// estimates of; of latencies the worst stays. Any thread.
#pragma once

#include "journal/records.h"

namespace restore {

class PulseSum {
 public:
  void add(const journal::PulseRecord& pulse);
  bool empty() const { return pulses_ == 0; }
  // Of no volume and no time: the caller says them.
  journal::PulseRecord total() const;

 private:
  std::uint64_t pulses_ = 0;
  journal::PulseRecord counts_{};
  // Of the pulses that know it: value times weight, and weight.
  double overwritten_ = 0;
  double overwritten_blocks_ = 0;
  double entropy_ = 0;
  double entropy_blocks_ = 0;
};

}  // namespace restore
