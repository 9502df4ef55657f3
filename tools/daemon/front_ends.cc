// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/front_ends.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "tools/web/page.h"

namespace tools {
namespace {

using cdp::Result;
using cdp::Status;
using cdp::Task;

constexpr std::string_view kTcpPrefix = "tcp:";

}  // namespace

FrontEnds::FrontEnds(cdp::Reactor& reactor, const cdp::Clock& clock, Appliance& appliance,
                     const Configuration& configuration)
    : reactor_(reactor),
      clock_(clock),
      appliance_(appliance),
      configuration_(configuration),
      nbd_(reactor, appliance),
      access_(reactor, clock, appliance),
      poster_(reactor),
      webhook_(reactor, configuration.alerts_webhook,
               [this](std::string url, std::string document) {
                 return poster_.post(std::move(url), std::move(document));
               }),
      alerts_({.scheduler = reactor,
               .clock = clock,
               .webhook = webhook_,
               .vault = appliance.journal().vault().uuid.to_string(),
               .alerts = [&appliance] { return appliance.alerts(); },
               .record =
                   [&appliance](journal::AuditRecord record) {
                     return appliance.record_audit(std::move(record), false);
                   }}),
      jobs_(reactor, clock, appliance.state_directory()),
      hydrations_(reactor, appliance, jobs_),
      checks_(reactor, appliance),
      serving_(reactor) {}

Task<Status> FrontEnds::open() {
  Result<Listeners> listeners = listen();
  if (!listeners) co_return std::move(listeners).error();
  if (Status secured = open_nbd_security(); !secured) co_return secured;
  std::vector<NbdAddress> addresses;
  for (const auto& listener : *listeners) {
    const bool is_required = terms_of(listener->address()).mode == cdp::nbd::TlsMode::kRequired;
    addresses.push_back({listener->address(), is_required});
  }
  checks_.set_options({configuration_.check_socket, configuration_.check_time()});
  co_await checks_.open();
  co_await jobs_.load();
  api_.emplace(reactor_, clock_, appliance_, access_, alerts_, jobs_, hydrations_, checks_, nbd_,
               std::move(addresses));
  if (Status opened = open_http(); !opened) {
    co_await stop_http();
    co_await api_->stop();
    co_await jobs_.stop();
    co_return opened;
  }
  say_where(*listeners);
  for (auto& listener : *listeners) {
    const cdp::nbd::TlsTerms terms = terms_of(listener->address());
    serving_.spawn(nbd_.serve(std::move(listener), terms));
  }
  alerts_.start();
  hydrations_.start();
  co_return Status{};
}

Task<void> FrontEnds::stop() {
  co_await api_->stop();  // streams of events would keep their connections
  co_await stop_http();
  co_await hydrations_.stop();
  co_await jobs_.stop();
  co_await alerts_.stop();
  co_await nbd_.shutdown();
  co_await serving_.join();
}

Task<void> FrontEnds::renew() {
  webhook_.set_url(configuration_.alerts_webhook);
  checks_.set_options({configuration_.check_socket, configuration_.check_time()});
  co_await renew_certificate();
  co_await renew_nbd_security();
}

void FrontEnds::say_where(const Listeners& listeners) const {
  for (const auto& listener : listeners) {
    const bool by_tls = terms_of(listener->address()).mode == cdp::nbd::TlsMode::kRequired;
    spdlog::info("NBD on {}{}", listener->address().text(), by_tls ? " by TLS" : "");
  }
  if (metrics_ != nullptr) spdlog::info("metrics on {}", configuration_.metrics_listen);
  if (network_ != nullptr) {
    const std::string address = network_->address().text().substr(kTcpPrefix.size());
    if (is_encrypted_) spdlog::info("HTTPS on {}", address);
    if (!is_encrypted_) spdlog::info("HTTP on {} (not encrypted)", address);
  }
  // At the control socket too: setup asks for it there. Who has only that socket may want no user.
  if (access_.first_start_code().has_value()) {
    spdlog::log(
        network_ != nullptr ? spdlog::level::warn : spdlog::level::info,
        "no user was ever made here: hindsight setup NAME makes the first, an administrator, with "
        "the code {}",
        *access_.first_start_code());
  }
}

// --- HTTP ---------------------------------------------------------------------------------------

FrontEnds::OpenedHttp FrontEnds::open_http_server(const std::string& listener,
                                                  HttpServer::Handler handler, TlsContext tls) {
  Result<cdp::SocketAddress> address = cdp::parse_socket_address(listener);
  if (!address) return std::move(address).error();
  return HttpServer::open(reactor_, *std::move(address), std::move(tls), std::move(handler));
}

FrontEnds::OpenedHttp FrontEnds::open_network(HttpServer::Handler handler) {
  TlsContext tls;
  if (configuration_.has_certificate()) {
    Result<TlsContext> opened =
        open_tls_context(configuration_.certificate_path(), configuration_.key_path());
    if (!opened) return std::move(opened).error();
    tls = *std::move(opened);
  }
  is_encrypted_ = tls != nullptr;
  return open_http_server(configuration_.http_listener(), std::move(handler), std::move(tls));
}

Status FrontEnds::open_http() {
  const HttpServer::Handler answer = [this](HttpRequest request) {
    return api_->answer(std::move(request));
  };
  const HttpServer::Handler answer_anybody = [this](HttpRequest request) {
    return api_->answer_anybody(std::move(request));
  };
  OpenedHttp control = open_http_server(configuration_.control_listener(), answer);
  if (!control) return std::move(control).error();
  control_ = *std::move(control);
  if (!configuration_.metrics_listen.empty()) {
    OpenedHttp metrics = open_http_server(configuration_.metrics_listen, answer_anybody);
    if (!metrics) return std::move(metrics).error();
    metrics_ = *std::move(metrics);
  }
  if (!configuration_.http_listen.empty()) {
    const HttpServer::Handler answer_browsers = [this](HttpRequest request) -> Task<HttpResponse> {
      if (std::optional<HttpResponse> page = page_response(request)) co_return *std::move(page);
      co_return co_await api_->answer(std::move(request));
    };
    OpenedHttp network = open_network(answer_browsers);
    if (!network) return std::move(network).error();
    network_ = *std::move(network);
  }
  return {};
}

Task<void> FrontEnds::stop_http() {
  for (std::unique_ptr<HttpServer>* const server : {&network_, &metrics_, &control_}) {
    if (*server != nullptr) co_await (*server)->stop();
    server->reset();
  }
}

Task<void> FrontEnds::renew_certificate() {
  if (network_ == nullptr) co_return;
  if (!is_encrypted_) {
    if (configuration_.has_certificate()) {
      spdlog::warn("HTTP stays in clear until the next start, although there is a certificate now");
    }
    co_return;
  }
  Result<TlsContext> opened = TlsContext{};
  co_await cdp::on_worker(reactor_, [&] {
    opened = open_tls_context(configuration_.certificate_path(), configuration_.key_path());
  });
  if (opened) {
    network_->renew(*std::move(opened));
    spdlog::info("HTTPS: new connections get the certificate {}",
                 configuration_.certificate_path());
  } else {
    spdlog::error("HTTPS: {}: the certificate stays the one it was", opened.error().message);
  }
}

// --- NBD ----------------------------------------------------------------------------------------

Result<FrontEnds::Listeners> FrontEnds::listen() const {
  Listeners listeners;
  for (const std::string& text : configuration_.nbd_listeners()) {
    Result<cdp::SocketAddress> address = cdp::parse_socket_address(text);
    if (!address) return std::move(address).error();
    auto listener = cdp::SocketListener::open(reactor_, *std::move(address));
    if (!listener) return std::move(listener).error();
    listeners.push_back(*std::move(listener));
  }
  return listeners;
}

Status FrontEnds::open_nbd_security() {
  const NbdTlsFiles files = configuration_.nbd_tls_files();
  if (!configuration_.nbd_has_tls() || files == NbdTlsFiles{}) {
    // What was there when the configuration was read may be gone by now.
    const std::vector<std::string> wrong = contradictions(configuration_);
    return wrong.empty() ? Status{} : cdp::make_error(EINVAL, "{}", wrong.front());
  }
  Result<TlsContext> context = open_nbd_tls_context(files);
  if (!context) return std::move(context).error();
  if (configuration_.nbd_clients.empty()) {
    spdlog::warn("NBD: nbd.clients is empty: nobody has anything by TLS");
  }
  nbd_security_ = std::make_unique<NbdSecurity>(reactor_, appliance_, *std::move(context),
                                                configuration_.nbd_clients);
  return {};
}

cdp::nbd::TlsTerms FrontEnds::terms_of(const cdp::SocketAddress& address) const {
  if (nbd_security_ == nullptr) return {};
  const bool is_unix = address.kind == cdp::SocketAddress::Kind::kUnix;
  return {is_unix ? cdp::nbd::TlsMode::kOffered : cdp::nbd::TlsMode::kRequired,
          nbd_security_.get()};
}

Task<void> FrontEnds::renew_nbd_security() {
  const NbdTlsFiles files = configuration_.nbd_tls_files();
  if (nbd_security_ == nullptr) {
    if (configuration_.nbd_has_tls()) {
      spdlog::warn("NBD stays without TLS until the next start, although it could have it now");
    }
    co_return;
  }
  nbd_security_->set_rights(configuration_.nbd_clients);
  if (files == NbdTlsFiles{}) {
    spdlog::error("NBD: there is nothing left to know clients by: TLS stays as it was");
    co_return;
  }
  Result<TlsContext> opened = TlsContext{};
  co_await cdp::on_worker(reactor_, [&] { opened = open_nbd_tls_context(files); });
  if (opened) {
    nbd_security_->renew(*std::move(opened));
    spdlog::info("NBD: new connections by TLS get the keys and rights that were read again");
  } else {
    spdlog::error("NBD: {}: TLS stays as it was", opened.error().message);
  }
}

}  // namespace tools
