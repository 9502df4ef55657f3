// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/idempotency_keys.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <span>

namespace tools {
namespace {

constexpr cdp::Nanos kRemembered = cdp::seconds(24 * 60 * 60);
constexpr std::size_t kBodyBytesMax = 64u << 10;

journal::Digest digest_of(const Principal& who, const HttpRequest& request) {
  boost::json::array path;
  for (const std::string& segment : request.path) path.emplace_back(segment);
  boost::json::object query;
  for (const auto& [name, value] : request.query) query[name] = value;
  const std::string text = boost::json::serialize(boost::json::array{
      who.credential, request.method, std::move(path), std::move(query), request.body});
  return journal::sha256(std::as_bytes(std::span{text}));
}

}  // namespace

cdp::Result<std::optional<HttpResponse>> IdempotencyKeys::begin(const Principal& who,
                                                                const HttpRequest& request) {
  const std::string& key = request.header.idempotency_key;
  if (key.size() > kKeyBytesMax) {
    return cdp::make_error(EINVAL, "an Idempotency-Key has at most {} bytes", kKeyBytesMax);
  }
  const journal::Digest digest = digest_of(who, request);
  const auto known = entries_.find({who.name, key});
  if (known != entries_.end() && known->second.began + kRemembered > clock_.boottime()) {
    if (known->second.request != digest) {
      return cdp::make_error(EINVAL, "the Idempotency-Key was that of another request");
    }
    if (!known->second.response.has_value()) {
      return cdp::make_error(EBUSY, "the first request with this Idempotency-Key is under way");
    }
    return known->second.response;
  }
  make_room();
  entries_[{who.name, key}] = {.request = digest, .began = clock_.boottime()};
  return std::optional<HttpResponse>{};
}

void IdempotencyKeys::finish(const Principal& who, const std::string& key,
                             const HttpResponse& response) {
  const auto known = entries_.find({who.name, key});
  if (known == entries_.end()) return;
  const bool is_kept =
      response.status < 500 && response.source == nullptr && response.body.size() <= kBodyBytesMax;
  if (is_kept)
    known->second.response = response;
  else
    entries_.erase(known);
}

// What is under way stays: its number is bounded by that of connections.
void IdempotencyKeys::make_room() {
  if (entries_.size() < kRememberedMax) return;
  const auto is_older = [](const auto& a, const auto& b) {
    if (a.second.response.has_value() != b.second.response.has_value()) {
      return a.second.response.has_value();
    }
    return a.second.began < b.second.began;
  };
  const auto oldest = std::min_element(entries_.begin(), entries_.end(), is_older);
  if (oldest->second.response.has_value()) entries_.erase(oldest);
}

}  // namespace tools
