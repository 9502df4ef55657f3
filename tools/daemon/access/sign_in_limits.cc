// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/access/sign_in_limits.h"

#include <algorithm>

namespace tools {
namespace {

constexpr unsigned kFreeOfName = 5;
constexpr unsigned kFreeOfAddress = 20;
constexpr cdp::Nanos kWaitMax = cdp::seconds(15 * 60);
// After this long without a failure they are forgotten.
constexpr cdp::Nanos kForgottenAfter = cdp::seconds(60 * 60);
constexpr unsigned kDoublingsMax = 10;

}  // namespace

cdp::Nanos SignInLimits::wait(const std::string& name, const std::string& address) const {
  const cdp::Nanos of_name = wait(names_, name, kFreeOfName);
  return address.empty() ? of_name : std::max(of_name, wait(addresses_, address, kFreeOfAddress));
}

cdp::Nanos SignInLimits::wait(const Table& table, const std::string& key, unsigned free) const {
  const auto found = table.find(key);
  if (found == table.end() || found->second.count < free) return {};
  const unsigned doublings = std::min(found->second.count - free, kDoublingsMax);
  const cdp::Nanos pause = std::min(cdp::Nanos{cdp::seconds(1).value << doublings}, kWaitMax);
  return std::max(found->second.last + pause - clock_.boottime(), cdp::Nanos{});
}

void SignInLimits::begin(const std::string& name, const std::string& address) {
  count(names_, name);
  if (!address.empty()) count(addresses_, address);
}

void SignInLimits::succeeded(const std::string& name, const std::string& address) {
  names_.erase(name);
  const auto found = addresses_.find(address);
  if (found != addresses_.end() && found->second.count > 0) --found->second.count;
}

void SignInLimits::count(Table& table, const std::string& key) {
  const cdp::Nanos now = clock_.boottime();
  if (table.size() >= kRememberedMax && !table.contains(key)) {
    std::erase_if(table,
                  [&](const auto& each) { return each.second.last + kForgottenAfter <= now; });
    if (table.size() >= kRememberedMax) {
      table.erase(std::min_element(table.begin(), table.end(), [](const auto& a, const auto& b) {
        return a.second.last < b.second.last;
      }));
    }
  }
  Failures& failures = table[key];
  if (failures.last + kForgottenAfter <= now) failures.count = 0;
  ++failures.count;
  failures.last = now;
}

}  // namespace tools
