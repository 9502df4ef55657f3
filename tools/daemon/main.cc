// SPDX-License-Identifier: Apache-2.0
//
// hindsightd: the appliance daemon. Starts the appliance, then its front-ends; stops them in the
// opposite order on SIGTERM or SIGINT.
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/io/reactor.h"
#include "cdp/io/socket.h"
#include "cdp/nbd/server.h"
#include "tools/daemon/api.h"
#include "tools/daemon/appliance.h"
#include "tools/daemon/http_server.h"
#include "tools/daemon/options.h"
#include "tools/daemon/system_host.h"

namespace tools {
namespace {

// Blocks the signals that stop the daemon and gives a descriptor that reads them.
cdp::FileDescriptor stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return cdp::FileDescriptor{signalfd(-1, &signals, SFD_CLOEXEC)};
}

cdp::Task<void> stop_signal(cdp::Reactor& reactor, int fd) {
  signalfd_siginfo info{};
  co_await reactor.submit(
      [fd, &info](io_uring_sqe* entry) { io_uring_prep_read(entry, fd, &info, sizeof info, 0); });
  spdlog::info("stopping: signal {} from process {}", info.ssi_signo, info.ssi_pid);
}

using Listeners = std::vector<std::unique_ptr<cdp::SocketListener>>;

cdp::Result<Listeners> listen(cdp::Reactor& reactor, const DaemonOptions& options) {
  Listeners listeners;
  for (const cdp::SocketAddress& address : options.nbd_addresses) {
    auto listener = cdp::SocketListener::open(reactor, address);
    if (!listener) return std::move(listener).error();
    listeners.push_back(*std::move(listener));
  }
  return listeners;
}

// Everything between the appliance's start and its stop.
cdp::Task<cdp::Status> serve(cdp::Reactor& reactor, const cdp::Clock& clock,
                             const DaemonOptions& options, Appliance& appliance, int signal_fd) {
  auto listeners = listen(reactor, options);
  if (!listeners) co_return std::move(listeners).error();
  cdp::nbd::Server nbd{reactor, appliance};
  std::vector<cdp::SocketAddress> addresses;
  for (const auto& listener : *listeners) addresses.push_back(listener->address());
  Api api{reactor, clock, appliance, nbd, std::move(addresses)};
  std::unique_ptr<HttpServer> control;
  cdp::Status outcome;
  try {
    control = std::make_unique<HttpServer>(
        reactor, options.control_path,
        [&api](HttpRequest request) { return api.answer(std::move(request)); });
  } catch (const std::exception& error) {
    outcome = cdp::Error{EADDRINUSE, error.what()};
  }
  if (!outcome) co_return outcome;
  cdp::TaskGroup serving{reactor};
  for (const auto& listener : *listeners) spdlog::info("NBD on {}", listener->address().text());
  for (auto& listener : *listeners) serving.spawn(nbd.serve(std::move(listener)));
  spdlog::info("ready: control socket {}", options.control_path);
  co_await stop_signal(reactor, signal_fd);
  co_await control->stop();
  co_await nbd.shutdown();
  co_await serving.join();
  co_return outcome;
}

cdp::Task<void> run(cdp::Reactor& reactor, const cdp::Clock& clock, const DaemonOptions& options,
                    int signal_fd, cdp::Status& outcome) {
  ApplianceOptions wanted;
  wanted.vault_path = options.vault_path;
  wanted.state_path = options.state_path;
  wanted.dirty_bytes = options.dirty_bytes;
  wanted.hydration_bytes_per_second = options.hydration_bytes_per_second;
  wanted.journal.segment_bytes = options.segment_bytes;
  wanted.journal.dedup_bytes = options.dedup_bytes;
  SystemHost host{reactor};
  auto appliance = co_await Appliance::start(reactor, clock, host, std::move(wanted));
  if (!appliance) {
    outcome = std::move(appliance).error();
    co_return;
  }
  outcome = co_await serve(reactor, clock, options, **appliance, signal_fd);
  cdp::Status stopped = co_await (*appliance)->stop();
  if (outcome) outcome = std::move(stopped);
}

int run_daemon(const DaemonOptions& options) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("hindsightd"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
  spdlog::set_level(options.verbose ? spdlog::level::debug : spdlog::level::info);
  try {
    const cdp::FileDescriptor signals = stop_signals();
    const cdp::SystemClock clock;
    cdp::Reactor reactor{{}};
    cdp::Status outcome;
    reactor.run(run(reactor, clock, options, signals.get(), outcome));
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

}  // namespace
}  // namespace tools

int main(int argc, char** argv) {
  return tools::run_daemon(tools::parse_daemon_options(argc, argv));
}
