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

Result<Admissions::Place> Admissions::admit(const BlockDevice& device) {
  std::size_t& same = taken_->of_device[&device];
  if (same >= limits_.device_connections_max) {
    return make_error(EBUSY, "the export has {} connections, which is the most it may have", same);
  }
  if (device.read_only() && taken_->read_only >= limits_.read_only_connections_max) {
    return make_error(EBUSY,
                      "read-only exports have {} connections, which is the most that all of them "
                      "together may have",
                      taken_->read_only);
  }
  const bool read_only = device.read_only();
  ++same;
  taken_->read_only += read_only ? 1 : 0;
  return Place{&device, [taken = taken_, read_only](const BlockDevice* of) {
                 taken->read_only -= read_only ? 1 : 0;
                 const auto found = taken->of_device.find(of);
                 if (--found->second == 0) taken->of_device.erase(found);
               }};
}

}  // namespace cdp::nbd
