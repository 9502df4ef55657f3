// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/http_connections.h"

#include <algorithm>

namespace tools {

bool HttpConnections::admit(Member& member) {
  const std::string& network = member.network_;
  const auto of_network = std::count_if(
      open_.begin(), open_.end(), [&](const Member* other) { return other->network_ == network; });
  const bool is_counted = !network.empty();
  if (is_counted && static_cast<std::size_t>(of_network) >= limits_.of_one_network) {
    if (!close_quietest(&network)) return false;
  } else if (open_.size() >= limits_.all && !close_quietest(nullptr)) {
    return false;
  }
  open_.insert(&member);
  become_quiet(member);
  return true;
}

void HttpConnections::become_quiet(Member& member) {
  member.is_quiet_ = true;
  member.quiet_since_ = ++became_quiet_;
}

void HttpConnections::close_all() {
  for (Member* const member : open_) member->close_();
}

bool HttpConnections::close_quietest(const std::string* network) {
  Member* quietest = nullptr;
  for (Member* const member : open_) {
    if (!member->is_quiet_ || (network != nullptr && member->network_ != *network)) continue;
    if (quietest == nullptr || member->quiet_since_ < quietest->quiet_since_) quietest = member;
  }
  if (quietest == nullptr) return false;
  // What it still has to end needs no place.
  open_.erase(quietest);
  quietest->close_();
  return true;
}

}  // namespace tools
