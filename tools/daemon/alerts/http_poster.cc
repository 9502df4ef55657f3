// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/alerts/http_poster.h"

#include <curl/curl.h>

#include <memory>

#include "cdp/base/check.h"

namespace tools {
namespace {

using cdp::make_error;
using cdp::Status;
using cdp::Task;

constexpr long kConnectSeconds = 3;
constexpr long kWholeSeconds = 5;

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

HttpPoster::HttpPoster(cdp::Reactor& reactor) : reactor_(reactor), posted_(reactor) {
  CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

HttpPoster::~HttpPoster() { curl_global_cleanup(); }

Task<Status> HttpPoster::post(std::string url, std::string document) {
  Status outcome;
  bool is_done = false;
  thread_.add([this, &url, &document, &outcome, &is_done] {
    outcome = post_now(url, document);
    reactor_.post_from_any_thread([this, &is_done] {
      is_done = true;
      posted_.notify_all();
    });
  });
  while (!is_done) co_await posted_.wait();
  co_return outcome;
}

}  // namespace tools
