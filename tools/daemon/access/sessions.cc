// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/access/sessions.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <span>

#include "cdp/base/random_bytes.h"

namespace tools {
namespace {

constexpr cdp::Nanos kIdleMax = cdp::seconds(30 * 60);
constexpr cdp::Nanos kLifeMax = cdp::seconds(12 * 60 * 60);

}  // namespace

std::string random_secret() {
  std::array<std::byte, 32> bytes;
  cdp::fill_random(bytes);
  constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
  char text[sodium_base64_ENCODED_LEN(32, kVariant)];
  sodium_bin2base64(text, sizeof text, reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), kVariant);
  return text;
}

journal::Digest digest_of_secret(std::string_view secret) {
  return journal::sha256(std::as_bytes(std::span{secret}));
}

bool is_same_secret(std::string_view one, std::string_view other) {
  return one.size() == other.size() && sodium_memcmp(one.data(), other.data(), one.size()) == 0;
}

cdp::Nanos Sessions::Session::ends() const { return std::min(used + kIdleMax, began + kLifeMax); }

std::string Sessions::begin(const std::string& user) {
  end_the_old();
  make_room(user);
  std::string secret = random_secret();
  const cdp::Nanos now = clock_.boottime();
  sessions_[digest_of_secret(secret)] = {user, random_secret(), now, now};
  return secret;
}

bool Sessions::is_alive(std::string_view secret) const {
  const auto found = sessions_.find(digest_of_secret(secret));
  return found != sessions_.end() && found->second.ends() > clock_.boottime();
}

const Sessions::Session* Sessions::find(std::string_view secret) {
  const auto found = sessions_.find(digest_of_secret(secret));
  if (found == sessions_.end()) return nullptr;
  const cdp::Nanos now = clock_.boottime();
  if (found->second.ends() <= now) {
    sessions_.erase(found);
    return nullptr;
  }
  found->second.used = now;
  return &found->second;
}

void Sessions::end(std::string_view secret) { sessions_.erase(digest_of_secret(secret)); }

void Sessions::end_all_of(const std::string& user) {
  std::erase_if(sessions_, [&](const auto& each) { return each.second.user == user; });
}

void Sessions::end_the_old() {
  const cdp::Nanos now = clock_.boottime();
  std::erase_if(sessions_, [&](const auto& each) { return each.second.ends() <= now; });
}

void Sessions::make_room(const std::string& user) {
  std::size_t of_user = 0;
  auto idlest = sessions_.end();
  for (auto each = sessions_.begin(); each != sessions_.end(); ++each) {
    if (each->second.user != user) continue;
    ++of_user;
    if (idlest == sessions_.end() || each->second.used < idlest->second.used) idlest = each;
  }
  if (of_user >= kOfOneUserMax) sessions_.erase(idlest);
}

}  // namespace tools
