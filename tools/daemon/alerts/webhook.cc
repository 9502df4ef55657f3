// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/alerts/webhook.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace tools {
namespace {

using cdp::make_error;
using cdp::Status;
using cdp::Task;

constexpr int kAttempts = 3;
constexpr cdp::Nanos kPause = cdp::seconds(5);  // before the second; twice as long before the third
constexpr std::size_t kTellingMax = 64;

}  // namespace

Webhook::Webhook(cdp::Scheduler& scheduler, std::string url, Post post)
    : scheduler_(scheduler),
      url_(std::move(url)),
      post_(std::move(post)),
      stop_(scheduler),
      telling_(scheduler) {}

Task<Status> Webhook::try_once(std::string document) {
  if (url_.empty()) {
    co_return make_error(EINVAL,
                         "there is no webhook: alerts.webhook in the configuration names one");
  }
  co_return co_await post_(url_, std::move(document));
}

void Webhook::tell(std::string document) {
  if (url_.empty() || stopping_) return;
  if (telling_.running() >= kTellingMax) {
    spdlog::error("alerts: the webhook is not told of this one, too many wait: {}", document);
    return;
  }
  telling_.spawn(tell_patiently(std::move(document)));
}

Task<void> Webhook::tell_patiently(std::string document) {
  cdp::Nanos pause = kPause;
  for (int attempt = 1;; ++attempt) {
    const Status told = co_await post_(url_, document);
    if (told) co_return;
    spdlog::warn("alerts: {} (attempt {} of {})", told.error().message, attempt, kAttempts);
    if (attempt == kAttempts) break;
    const cdp::Nanos until = scheduler_.now() + pause;
    while (!stopping_ && scheduler_.now() < until) (void)co_await stop_.wait_until(until);
    if (stopping_) break;
    pause = pause + pause;
  }
  spdlog::error("alerts: the webhook has not been told: {}", document);
}

Task<void> Webhook::stop() {
  stopping_ = true;
  stop_.notify_all();
  co_await telling_.join();
}

}  // namespace tools
