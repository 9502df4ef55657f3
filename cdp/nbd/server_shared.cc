// SPDX-License-Identifier: Apache-2.0
#include "cdp/nbd/server_shared.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace cdp::nbd {

bool LogBudget::take() {
  const std::int64_t earned = (scheduler_.now() - since_).value / kInterval.value;
  since_ = since_ + Nanos{earned * kInterval.value};
  lines_ = std::min(kBurst, lines_ + static_cast<std::uint64_t>(earned));
  if (lines_ == 0) {
    ++left_out_;
    return false;
  }
  --lines_;
  tell_left_out();
  return true;
}

void LogBudget::tell_left_out() {
  if (left_out_ == 0) return;
  spdlog::warn("nbd: {} lines about clients were left out, as there were too many",
               std::exchange(left_out_, 0));
}

}  // namespace cdp::nbd
