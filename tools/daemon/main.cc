// SPDX-License-Identifier: Apache-2.0
//
// hindsightd: the appliance daemon. Starts the appliance, then its front-ends; stops them in the
// opposite order on SIGTERM or SIGINT. SIGHUP has it read its configuration again.
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/io/reactor.h"
#include "cdp/io/socket.h"
#include "cdp/nbd/server.h"
#include "tools/daemon/access/access.h"
#include "tools/daemon/alerts/alert_watch.h"
#include "tools/daemon/alerts/webhook.h"
#include "tools/daemon/appliance.h"
#include "tools/daemon/config/command_line.h"
#include "tools/daemon/config/config_file.h"
#include "tools/daemon/nbd_security.h"
#include "tools/daemon/rest/api.h"
#include "tools/daemon/rest/http_server.h"
#include "tools/daemon/service_manager.h"
#include "tools/daemon/system_host.h"

namespace tools {
namespace {

constexpr int kWrongUsage = 2;
constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::string_view kTcpPrefix = "tcp:";

void set_log_level(const Configuration& configuration) {
  spdlog::set_level(configuration.verbose ? spdlog::level::debug : spdlog::level::info);
}

// Blocks the signals that the daemon obeys and gives a descriptor that reads them.
cdp::FileDescriptor obeyed_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return cdp::FileDescriptor{signalfd(-1, &signals, SFD_CLOEXEC)};
}

// As many as the system lets it have: what a login shell allows at first is less than the
// connections of clients together.
void take_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

// The daemon from the start of its appliance to the end of it.
class Daemon {
 public:
  Daemon(cdp::Reactor& reactor, const cdp::Clock& clock, const CommandLine& line,
         Configuration configuration, int signal_fd)
      : reactor_(reactor),
        clock_(clock),
        line_(line),
        configuration_(std::move(configuration)),
        signal_fd_(signal_fd),
        service_manager_(reactor) {}

  cdp::Task<void> run(cdp::Status& outcome);

 private:
  cdp::Task<cdp::Status> serve(Appliance& appliance);
  cdp::Result<std::vector<std::unique_ptr<cdp::SocketListener>>> listen();
  cdp::Result<std::unique_ptr<HttpServer>> open_http(const std::string& listener,
                                                     HttpServer::Handler handler,
                                                     TlsContext tls = {});
  cdp::Result<std::unique_ptr<HttpServer>> open_network(HttpServer::Handler handler);
  cdp::Status open_nbd_security(Appliance& appliance);
  cdp::nbd::TlsTerms terms_of(const cdp::SocketAddress& address) const;
  cdp::Task<void> renew_nbd_security();
  cdp::Task<void> wait_for_stop(Appliance& appliance);
  cdp::Task<void> configure_anew(Appliance& appliance);
  cdp::Task<void> renew_certificate();

  cdp::Reactor& reactor_;
  const cdp::Clock& clock_;
  const CommandLine& line_;
  Configuration configuration_;  // as it is in force
  const int signal_fd_;
  ServiceManager service_manager_;
  std::unique_ptr<HttpServer> network_;  // http.listen's, while it is served
  bool is_encrypted_ = false;            // it speaks HTTPS
  Webhook* webhook_ = nullptr;           // while it is served
  std::unique_ptr<NbdSecurity> nbd_security_;  // null where NBD has no TLS, or is not served
};

cdp::Task<void> Daemon::run(cdp::Status& outcome) {
  ApplianceOptions wanted;
  wanted.vault_path = configuration_.vault;
  wanted.state_path = configuration_.state;
  wanted.dirty_bytes = configuration_.dirty_budget_bytes;
  wanted.hydration_bytes_per_second = configuration_.hydration_bytes_per_second;
  wanted.allowed_paths = configuration_.allowed_paths;
  wanted.journal.segment_bytes = configuration_.segment_bytes;
  wanted.journal.dedup_bytes = configuration_.dedup_bytes;
  SystemHost host{reactor_};
  auto appliance = co_await Appliance::start(reactor_, clock_, host, std::move(wanted));
  if (!appliance) {
    outcome = std::move(appliance).error();
    co_return;
  }
  outcome = co_await serve(**appliance);
  cdp::Status stopped = co_await (*appliance)->stop();
  if (outcome) outcome = std::move(stopped);
}

cdp::Result<std::vector<std::unique_ptr<cdp::SocketListener>>> Daemon::listen() {
  std::vector<std::unique_ptr<cdp::SocketListener>> listeners;
  for (const std::string& text : configuration_.nbd_listeners()) {
    cdp::Result<cdp::SocketAddress> address = cdp::parse_socket_address(text);
    if (!address) return std::move(address).error();
    auto listener = cdp::SocketListener::open(reactor_, *std::move(address));
    if (!listener) return std::move(listener).error();
    listeners.push_back(*std::move(listener));
  }
  return listeners;
}

cdp::Result<std::unique_ptr<HttpServer>> Daemon::open_http(const std::string& listener,
                                                           HttpServer::Handler handler,
                                                           TlsContext tls) {
  cdp::Result<cdp::SocketAddress> address = cdp::parse_socket_address(listener);
  if (!address) return std::move(address).error();
  return HttpServer::open(reactor_, *std::move(address), std::move(tls), std::move(handler));
}

// The API over the network; null where it is not wanted.
cdp::Result<std::unique_ptr<HttpServer>> Daemon::open_network(HttpServer::Handler handler) {
  if (configuration_.http_listen.empty()) return std::unique_ptr<HttpServer>{};
  TlsContext tls;
  if (configuration_.has_certificate()) {
    auto opened = open_tls_context(configuration_.certificate_path(), configuration_.key_path());
    if (!opened) return std::move(opened).error();
    tls = *std::move(opened);
  }
  is_encrypted_ = tls != nullptr;
  return open_http(configuration_.http_listener(), std::move(handler), std::move(tls));
}

// Everything between the appliance's start and its stop.
cdp::Task<cdp::Status> Daemon::serve(Appliance& appliance) {
  auto listeners = listen();
  if (!listeners) co_return std::move(listeners).error();
  if (auto opened = open_nbd_security(appliance); !opened) co_return opened;
  cdp::nbd::Server nbd{reactor_, appliance};
  std::vector<NbdAddress> addresses;
  for (const auto& listener : *listeners) {
    const bool is_required = terms_of(listener->address()).mode == cdp::nbd::TlsMode::kRequired;
    addresses.push_back({listener->address(), is_required});
  }
  Access access{reactor_, clock_, appliance};
  Webhook webhook{reactor_, configuration_.alerts_webhook};
  webhook_ = &webhook;
  AlertWatch alerts{reactor_, clock_, appliance, webhook};
  Api api{reactor_, clock_, appliance, access, alerts, nbd, std::move(addresses)};
  const HttpServer::Handler answer = [&api](HttpRequest request) {
    return api.answer(std::move(request));
  };
  auto control = open_http(configuration_.control_listener(), answer);
  if (!control) co_return std::move(control).error();
  cdp::Result<std::unique_ptr<HttpServer>> metrics = std::unique_ptr<HttpServer>{};
  if (!configuration_.metrics_listen.empty()) {
    metrics = open_http(configuration_.metrics_listen, [&api](HttpRequest request) {
      return api.answer_anybody(std::move(request));
    });
  }
  if (!metrics) {
    co_await (*control)->stop();
    co_return std::move(metrics).error();
  }
  auto network = open_network(answer);
  if (!network) {
    if (*metrics != nullptr) co_await (*metrics)->stop();
    co_await (*control)->stop();
    co_return std::move(network).error();
  }
  network_ = *std::move(network);
  cdp::TaskGroup serving{reactor_};
  for (auto& listener : *listeners) {
    const cdp::nbd::TlsTerms terms = terms_of(listener->address());
    spdlog::info("NBD on {}{}", listener->address().text(),
                 terms.mode == cdp::nbd::TlsMode::kRequired ? " by TLS" : "");
    serving.spawn(nbd.serve(std::move(listener), terms));
  }
  if (*metrics != nullptr) spdlog::info("metrics on {}", configuration_.metrics_listen);
  if (network_ != nullptr) {
    const std::string address = network_->address().text().substr(kTcpPrefix.size());
    if (is_encrypted_) spdlog::info("HTTPS on {}", address);
    if (!is_encrypted_) spdlog::info("HTTP on {} (not encrypted)", address);
  }
  if (network_ != nullptr && access.first_start_code().has_value()) {
    spdlog::warn(
        "no user was ever made here: hindsight setup NAME makes the first, an administrator, with "
        "the code {}",
        *access.first_start_code());
  }
  alerts.start();
  const std::string where = configuration_.control_listener().substr(kUnixPrefix.size());
  spdlog::info("ready: control socket {}", where);
  service_manager_.ready(
      fmt::format("Serving {} volumes; control socket {}", appliance.live_volumes().size(), where));
  co_await wait_for_stop(appliance);
  if (network_ != nullptr) co_await network_->stop();
  network_.reset();
  if (*metrics != nullptr) co_await (*metrics)->stop();
  co_await (*control)->stop();
  co_await alerts.stop();
  webhook_ = nullptr;
  co_await nbd.shutdown();
  co_await serving.join();
  nbd_security_.reset();
  co_return cdp::Status{};
}

// --- NBD by TLS

cdp::Status Daemon::open_nbd_security(Appliance& appliance) {
  if (!configuration_.nbd_has_tls()) return {};
  auto context = open_nbd_tls_context(configuration_.nbd_tls_files());
  if (!context) return std::move(context).error();
  if (configuration_.nbd_clients.empty()) {
    spdlog::warn("NBD: nbd.clients is empty: nobody has anything by TLS");
  }
  nbd_security_ = std::make_unique<NbdSecurity>(reactor_, appliance, *std::move(context),
                                                configuration_.nbd_clients);
  return {};
}

cdp::nbd::TlsTerms Daemon::terms_of(const cdp::SocketAddress& address) const {
  if (nbd_security_ == nullptr) return {};
  const bool is_unix = address.kind == cdp::SocketAddress::Kind::kUnix;
  return {is_unix ? cdp::nbd::TlsMode::kOffered : cdp::nbd::TlsMode::kRequired,
          nbd_security_.get()};
}

// Keys that cannot be served leave the old ones where they are.
cdp::Task<void> Daemon::renew_nbd_security() {
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
  cdp::Result<TlsContext> opened = TlsContext{};
  co_await cdp::on_worker(reactor_, [&] { opened = open_nbd_tls_context(files); });
  if (opened) {
    nbd_security_->renew(*std::move(opened));
    spdlog::info("NBD: new connections by TLS get the keys and rights that were read again");
  } else {
    spdlog::error("NBD: {}: TLS stays as it was", opened.error().message);
  }
}

cdp::Task<void> Daemon::wait_for_stop(Appliance& appliance) {
  for (;;) {
    signalfd_siginfo info{};
    co_await reactor_.submit([fd = signal_fd_, &info](io_uring_sqe* entry) {
      io_uring_prep_read(entry, fd, &info, sizeof info, 0);
    });
    if (info.ssi_signo != SIGHUP) {
      spdlog::info("stopping: signal {} from process {}", info.ssi_signo, info.ssi_pid);
      service_manager_.stopping();
      co_return;
    }
    service_manager_.reloading();
    co_await configure_anew(appliance);
    service_manager_.reloaded();
  }
}

// All of it, or nothing where something is wrong with it.
cdp::Task<void> Daemon::configure_anew(Appliance& appliance) {
  Configuration wanted;
  std::vector<std::string> wrong;
  co_await cdp::on_worker(reactor_, [&] { wrong = configure(line_, wanted); });
  for (const std::string& sentence : wrong) spdlog::error("configuration: {}", sentence);
  if (!wrong.empty()) {
    spdlog::error("configuration: stays as it was");
    co_return;
  }
  if (wanted == configuration_) spdlog::info("configuration: read again, nothing has changed");
  for (const Setting& setting : settings()) {
    const SettingValue old_value = setting.get(configuration_);
    const SettingValue value = setting.get(wanted);
    if (value == old_value) continue;
    if (setting.change == Setting::Change::kAtStart) {
      spdlog::warn("configuration: {} stays {} until the next start, which makes it {}",
                   setting.key, to_text(setting.in_force(configuration_)),
                   to_text(setting.in_force(wanted)));
      continue;
    }
    CHECK(setting.set(configuration_, value).ok());
    if (setting.is_secret) {
      spdlog::info("configuration: {} is another one now", setting.key);
      continue;
    }
    spdlog::info("configuration: {} is {} now, was {}", setting.key, to_text(value),
                 to_text(old_value));
  }
  set_log_level(configuration_);
  appliance.set_hydration_rate(configuration_.hydration_bytes_per_second);
  appliance.set_allowed_paths(configuration_.allowed_paths);
  co_await renew_certificate();
  co_await renew_nbd_security();
}

// One that cannot be served leaves the old one where it is.
cdp::Task<void> Daemon::renew_certificate() {
  if (network_ == nullptr) co_return;
  if (!is_encrypted_) {
    if (configuration_.has_certificate()) {
      spdlog::warn("HTTP stays in clear until the next start, although there is a certificate now");
    }
    co_return;
  }
  std::optional<cdp::Result<TlsContext>> opened;
  co_await cdp::on_worker(reactor_, [&] {
    opened.emplace(open_tls_context(configuration_.certificate_path(), configuration_.key_path()));
  });
  if (opened->ok()) {
    network_->renew(std::move(**opened));
    spdlog::info("HTTPS: new connections get the certificate {}",
                 configuration_.certificate_path());
  } else {
    spdlog::error("HTTPS: {}: the certificate stays the one it was", opened->error().message);
  }
}

int run_daemon(const CommandLine& line, Configuration configuration) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("hindsightd"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
  set_log_level(configuration);
  take_descriptors();
  try {
    const cdp::FileDescriptor signals = obeyed_signals();
    const cdp::SystemClock clock;
    cdp::Reactor reactor{{}};
    Daemon daemon{reactor, clock, line, std::move(configuration), signals.get()};
    cdp::Status outcome;
    reactor.run(daemon.run(outcome));
    if (outcome) {
      spdlog::info("stopped");
      return EXIT_SUCCESS;
    }
    spdlog::error("{}", outcome.error().message);
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
  }
  return EXIT_FAILURE;
}

int main_with(const CommandLine& line) {
  Configuration configuration;
  if (line.task == CommandLine::Task::kPrintConfig) {
    std::cout << config_text(configuration);
    return EXIT_SUCCESS;
  }
  const std::vector<std::string> wrong = configure(line, configuration);
  for (const std::string& sentence : wrong) std::cerr << "hindsightd: " << sentence << "\n";
  if (!wrong.empty()) return kWrongUsage;
  if (line.task == CommandLine::Task::kServe) return run_daemon(line, std::move(configuration));
  std::cout << "hindsightd: the configuration is sound\n";
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace tools

int main(int argc, char** argv) { return tools::main_with(tools::parse_command_line(argc, argv)); }
