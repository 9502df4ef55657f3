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
#include "tools/daemon/appliance.h"
#include "tools/daemon/config/command_line.h"
#include "tools/daemon/config/config_file.h"
#include "tools/daemon/front_ends.h"
#include "tools/daemon/service_manager.h"
#include "tools/daemon/structured_log.h"
#include "tools/daemon/system_host.h"

namespace tools {
namespace {

constexpr int kWrongUsage = 2;
constexpr std::string_view kUnixPrefix = "unix:";

// On a terminal that has colours, whose user has not set NO_COLOR (no-color.org).
spdlog::color_mode log_colours() {
  const char* const no_colour = std::getenv("NO_COLOR");
  const bool is_plain = no_colour != nullptr && *no_colour != '\0';
  return is_plain ? spdlog::color_mode::never : spdlog::color_mode::automatic;
}

void set_up_log(const Configuration& configuration) {
  const bool is_json = configuration.log_format == "json";
  set_log_format(is_json ? LogFormat::kJson : LogFormat::kText);
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
  cdp::Task<void> wait_for_stop(Appliance& appliance, FrontEnds& front_ends);
  cdp::Task<void> configure_anew(Appliance& appliance, FrontEnds& front_ends);

  cdp::Reactor& reactor_;
  const cdp::Clock& clock_;
  const CommandLine& line_;
  Configuration configuration_;  // as it is in force
  const int signal_fd_;
  ServiceManager service_manager_;
};

cdp::Task<void> Daemon::run(cdp::Status& outcome) {
  ApplianceOptions wanted;
  wanted.vault_path = configuration_.vault;
  wanted.state_path = configuration_.state;
  wanted.dirty_bytes = configuration_.dirty_budget_bytes;
  wanted.hydration_bytes_per_second = configuration_.hydration_bytes_per_second;
  wanted.rpo_objective = configuration_.rpo_objective();
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

cdp::Task<cdp::Status> Daemon::serve(Appliance& appliance) {
  FrontEnds front_ends{reactor_, clock_, appliance, configuration_};
  cdp::Status opened = co_await front_ends.open();
  if (!opened) co_return opened;
  const std::string where = configuration_.control_listener().substr(kUnixPrefix.size());
  spdlog::info("ready: control socket {}", where);
  service_manager_.ready(
      fmt::format("Serving {} volumes; control socket {}", appliance.live_volumes().size(), where));
  co_await wait_for_stop(appliance, front_ends);
  co_await front_ends.stop();
  co_return cdp::Status{};
}

cdp::Task<void> Daemon::wait_for_stop(Appliance& appliance, FrontEnds& front_ends) {
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
    co_await configure_anew(appliance, front_ends);
    service_manager_.reloaded();
  }
}

// All of it, or nothing where something is wrong with it.
cdp::Task<void> Daemon::configure_anew(Appliance& appliance, FrontEnds& front_ends) {
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
  set_up_log(configuration_);
  appliance.set_hydration_rate(configuration_.hydration_bytes_per_second);
  appliance.set_rpo_objective(configuration_.rpo_objective());
  appliance.set_allowed_paths(configuration_.allowed_paths);
  co_await front_ends.renew();
}

int run_daemon(const CommandLine& line, Configuration configuration) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("hindsightd", log_colours()));
  set_up_log(configuration);
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
