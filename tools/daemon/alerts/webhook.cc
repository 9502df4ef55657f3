// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/alerts/webhook.h"

#include <curl/curl.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "cdp/base/check.h"

namespace tools {
namespace {

using cdp::make_error;
using cdp::Status;
using cdp::Task;

constexpr long kConnectSeconds = 3;
constexpr long kWholeSeconds = 5;
constexpr int kAttempts = 3;
constexpr cdp::Nanos kPause = cdp::seconds(5);  // before the second; twice as long before the third
constexpr std::size_t kTellingMax = 64;

std::size_t ignore(char*, std::size_t size, std::size_t count, void*) { return size * count; }

Status post_now(const std::string& url, const std::string& document) {
  const std::unique_ptr<CURL, void (*)(CURL*)> curl{curl_easy_init(), curl_easy_cleanup};
  if (curl == nullptr) return make_error(ENOMEM, "the webhook cannot be told: out of memory");
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> header{
      curl_slist_append(nullptr, "Content-Type: application/json"), curl_slist_free_all};
  CURL* const to = curl.get();
  curl_easy_setopt(to, CURLOPT_URL, url.c_str());
  curl_easy_setopt(to, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(to, CURLOPT_HTTPHEADER, header.get());
  curl_easy_setopt(to, CURLOPT_POSTFIELDS, document.c_str());
  curl_easy_setopt(to, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(document.size()));
  curl_easy_setopt(to, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(to, CURLOPT_TIMEOUT, kWholeSeconds);
  curl_easy_setopt(to, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(to, CURLOPT_USERAGENT, "hindsightd");
  curl_easy_setopt(to, CURLOPT_WRITEFUNCTION, ignore);
  const CURLcode failed = curl_easy_perform(to);
  if (failed != CURLE_OK) {
    return make_error(EIO, "the webhook cannot be told: {}", curl_easy_strerror(failed));
  }
  long status = 0;
  curl_easy_getinfo(to, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 200 && status <= 299) return {};
  return make_error(EIO, "the webhook answered with HTTP status {}", status);
}

}  // namespace

Webhook::Webhook(cdp::Reactor& reactor, std::string url)
    : reactor_(reactor), url_(std::move(url)), changed_(reactor), telling_(reactor) {
  CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

Webhook::~Webhook() { curl_global_cleanup(); }

Task<Status> Webhook::try_once(std::string document) {
  if (url_.empty()) {
    co_return make_error(EINVAL,
                         "there is no webhook: alerts.webhook in the configuration names one");
  }
  co_return co_await post(std::move(document));
}

Task<Status> Webhook::post(std::string document) {
  Status outcome;
  bool is_done = false;
  ++posts_;
  thread_.add([this, url = url_, &document, &outcome, &is_done] {
    outcome = post_now(url, document);
    reactor_.post_from_any_thread([this, &is_done] {
      is_done = true;
      changed_.notify_all();
    });
  });
  while (!is_done) co_await changed_.wait();
  --posts_;
  co_return outcome;
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
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    const Status told = co_await post(document);
    if (told) co_return;
    spdlog::warn("alerts: {} (attempt {} of {})", told.error().message, attempt, kAttempts);
    const cdp::Nanos until = reactor_.now() + pause;
    while (!stopping_ && reactor_.now() < until) (void)co_await changed_.wait_until(until);
    if (stopping_) break;
    pause = pause + pause;
  }
  spdlog::error("alerts: the webhook has not been told: {}", document);
}

Task<void> Webhook::stop() {
  stopping_ = true;
  changed_.notify_all();
  co_await telling_.join();
}

}  // namespace tools
