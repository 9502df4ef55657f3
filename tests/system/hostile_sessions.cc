// SPDX-License-Identifier: Apache-2.0
//
// A storm of hostile NBD sessions against a server that somebody else uses, too:
//
//   hostile_sessions --unix PATH [--tcp PORT] [--bystander EXPORT --bystander-blocks N]
//                    --target EXPORT... --target-bytes N [--seed N] [--first N] [--sessions N]
//                    [--rate N] [--crowd N] [--quiet-seconds N]
//
// One thread has all hostile connections, by epoll; a Bystander has a thread of its own. In turn:
// the bystander alone, as many polite sessions a second as there will be hostile ones, the storm,
// a crowd of connections that do nothing (half of them until they are thrown out, half after they
// chose an export), the bystander alone again. Prints a line for each; exit 1 if the bystander was
// harmed, or if polite sessions were not served. Without a bystander there is only the storm, for
// another server, or for the sessions from number `--first` on of a storm that broke one.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cdp/nbd/protocol.h"
#include "tests/system/bystander.h"
#include "tests/system/hostile_script.h"

namespace {

using namespace hostile;
using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// No session lasts longer; some would, as the server waits for them to take their replies.
constexpr milliseconds kPatience{8'000};

struct Options {
  std::string unix_path, bystander;
  std::uint16_t tcp_port = 0;
  std::uint64_t bystander_blocks = 1024;
  Target target;
  std::uint64_t seed = 1, first = 0, sessions = 200'000, rate = 3'600, crowd = 300;
  std::uint64_t quiet_seconds = 8;
};

struct Counts {
  std::uint64_t started = 0, ended = 0;
  std::uint64_t greeted =
      0;  // the server's greeting came; not looked for by those that leave at once
  std::uint64_t turned_away = 0;  // closed by the server before a greeting
  std::uint64_t ended_by_server = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t in_flight_most = 0;
};

class Storm {
 public:
  explicit Storm(const Options& options)
      : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

  // Starts `sessions` sessions of `make` at `rate` a second, up to `in_flight_max` at a time.
  Counts run(std::uint64_t sessions, std::uint64_t rate, std::size_t in_flight_max,
             const std::function<Script(std::uint64_t)>& make) {
    counts_ = {};
    const auto start = SteadyClock::now();
    std::optional<Script> next;
    while (counts_.started < sessions || !open_.empty()) {
      const auto now = SteadyClock::now();
      const auto due = static_cast<std::uint64_t>(
          std::chrono::duration<double>(now - start).count() * static_cast<double>(rate));
      while (counts_.started < std::min(sessions, due) && open_.size() < in_flight_max) {
        if (!next) next = make(counts_.started);
        if (!connect(*next)) break;  // the listener's queue is full
        next.reset();
        ++counts_.started;
      }
      counts_.in_flight_most = std::max<std::uint64_t>(counts_.in_flight_most, open_.size());
      wait();
    }
    return counts_;
  }

 private:
  struct Connection {
    int fd = -1;
    Script script;
    std::uint64_t number = 0;
    std::size_t sent = 0;
    bool half_closed = false;
    bool heard = false;
    std::uint32_t interest = 0;
    std::optional<SteadyClock::time_point> due;  // its entry in `timers_`
  };

  struct Started {
    SteadyClock::time_point at;
    int fd;
    std::uint64_t number;
  };

  bool connect(const Script& script) {
    const bool tcp = script.tcp && options_.tcp_port != 0;
    const int family = tcp ? AF_INET : AF_UNIX;
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) throw std::runtime_error(fmt::format("making a socket: {}", std::strerror(errno)));
    int outcome = 0;
    if (tcp) {
      // From many addresses, as one would run out of ports that wait out their last packets.
      const int on = 1;
      setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
      sockaddr_in from{};
      from.sin_family = AF_INET;
      from.sin_addr.s_addr =
          htonl(0x7f000100u + static_cast<std::uint32_t>(counts_.started % 4096));
      outcome = bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(options_.tcp_port);
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      if (outcome == 0) outcome = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    } else {
      sockaddr_un to{};
      to.sun_family = AF_UNIX;
      options_.unix_path.copy(to.sun_path, sizeof to.sun_path - 1);
      outcome = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
    if (outcome != 0 && errno == EAGAIN) {
      close(fd);
      return false;
    }
    if (outcome != 0 && errno != EINPROGRESS) {
      throw std::runtime_error(fmt::format("the server is not there any more at session {}: {}",
                                           options_.first + counts_.started, std::strerror(errno)));
    }
    Connection& connection = open_[fd];
    connection.fd = fd;
    connection.number = counts_.started;
    connection.script = script;
    started_.push_back({SteadyClock::now(), fd, connection.number});
    epoll_event event{.events = 0, .data = {.fd = fd}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    interest(connection);
    return true;
  }

  void wait() {
    auto timeout = milliseconds(2);
    epoll_event events[256];
    const int got = epoll_wait(epoll_, events, 256, static_cast<int>(timeout.count()));
    for (int i = 0; i < got; ++i) {
      if (const auto it = open_.find(events[i].data.fd); it != open_.end()) {
        serve(it->second, events[i].events);
      }
    }
    while (!timers_.empty() && timers_.begin()->first <= SteadyClock::now()) {
      const int fd = timers_.begin()->second;
      timers_.erase(timers_.begin());
      const auto it = open_.find(fd);
      it->second.due.reset();
      timer(it->second);
    }
    while (!started_.empty() && started_.front().at + kPatience <= SteadyClock::now()) {
      const Started first = started_.front();
      started_.pop_front();
      const auto it = open_.find(first.fd);
      if (it != open_.end() && it->second.number == first.number) end(it->second, false);
    }
  }

  bool all_sent(const Connection& c) const { return c.sent == c.script.bytes.size(); }

  void interest(Connection& c) {
    std::uint32_t wanted = EPOLLRDHUP;
    if (!all_sent(c) && !c.due) wanted |= EPOLLOUT;
    if (c.script.listens || c.half_closed) wanted |= EPOLLIN;
    if (c.interest == wanted) return;
    c.interest = wanted;
    epoll_event event{.events = wanted, .data = {.fd = c.fd}};
    epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
  }

  void serve(Connection& c, std::uint32_t events) {
    if ((events & EPOLLIN) != 0) {
      char replies[64 << 10];
      const ssize_t got = recv(c.fd, replies, sizeof replies, 0);
      if (got > 0 && !c.heard) {
        c.heard = true;
        ++counts_.greeted;
      }
      if (got == 0 || (got < 0 && errno != EAGAIN)) return end(c, true);
    } else if ((events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) {
      return end(c, true);
    }
    if ((events & EPOLLOUT) != 0 && !all_sent(c)) {
      std::size_t bytes = c.script.bytes.size() - c.sent;
      if (c.script.step_bytes != 0) bytes = std::min(bytes, c.script.step_bytes);
      const ssize_t sent = send(c.fd, c.script.bytes.data() + c.sent, bytes, MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return end(c, true);
      if (sent > 0) {
        c.sent += static_cast<std::size_t>(sent);
        counts_.bytes_sent += static_cast<std::uint64_t>(sent);
      }
      if (!all_sent(c) && c.script.step_bytes != 0) set_timer(c, c.script.pause_ms);
    }
    if (all_sent(c) && !c.due) {
      if (c.script.end == Script::End::kHalfClose && !c.half_closed) {
        shutdown(c.fd, SHUT_WR);
        c.half_closed = true;
      }
      if (c.script.linger_ms == 0) return end(c, false);
      set_timer(c, c.script.linger_ms);
    }
    interest(c);
  }

  void timer(Connection& c) {
    if (all_sent(c)) return end(c, false);
    interest(c);
  }

  void set_timer(Connection& c, unsigned ms) {
    c.due = SteadyClock::now() + milliseconds(ms);
    timers_.emplace(*c.due, c.fd);
  }

  void end(Connection& c, bool by_server) {
    if (by_server) {
      ++counts_.ended_by_server;
      if (!c.heard && (c.script.listens || c.half_closed)) ++counts_.turned_away;
    }
    if (c.script.end == Script::End::kReset) {
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    if (c.due) {
      for (auto [it, last] = timers_.equal_range(*c.due); it != last; ++it) {
        if (it->second == c.fd) {
          timers_.erase(it);
          break;
        }
      }
    }
    close(c.fd);
    ++counts_.ended;
    open_.erase(c.fd);
  }

  const Options& options_;
  const int epoll_;
  Counts counts_;
  std::unordered_map<int, Connection> open_;
  std::multimap<SteadyClock::time_point, int> timers_;
  std::deque<Started> started_;
};

// Reads and writes a block, and says goodbye.
Script polite_script(std::uint64_t number, const Target& target) {
  Script script;
  script.tcp = number % 3 == 0;
  script.listens = true;
  script.end = Script::End::kHalfClose;
  script.linger_ms = 20'000;
  put_client_flags(script.bytes, 3);
  put_option(script.bytes, cdp::nbd::kOptGo, go_data(target.names[0]));
  const std::uint64_t offset = number * 4096 % (target.size_bytes - 4096);
  put_request(script.bytes, 0, 0, 1, offset, 4096);
  put_request(script.bytes, 0, 1, 2, offset, 4096);
  script.bytes.append(4096, static_cast<char>(number));
  put_request(script.bytes, 0, 2, 3, 0, 0);
  return script;
}

// One that does nothing, after the name of an export or without.
Script idle_script(std::uint64_t number, const Target& target) {
  Script script;
  script.listens = true;
  script.end = Script::End::kHold;
  script.linger_ms = 6'000;
  put_client_flags(script.bytes, 3);
  if (number % 2 == 0) put_option(script.bytes, cdp::nbd::kOptGo, go_data(target.names[0]));
  return script;
}

void say(const char* phase, const Bystander::Latencies& bystander) {
  fmt::print(
      "{}: the bystander's p50 {} us, p99 {} us of {} requests; flush p99 {} us of {}; "
      "connected {} times in {} us at most\n",
      phase, bystander.request_p50, bystander.request_p99, bystander.requests, bystander.flush_p99,
      bystander.flushes, bystander.connections, bystander.connect_most);
  std::fflush(stdout);
}

// The storm itself.
void rage(Storm& storm, const Options& options) {
  const auto start = SteadyClock::now();
  const auto make = [&](std::uint64_t number) {
    return make_script(options.seed * 1'000'000'007 + options.first + number, options.target);
  };
  const Counts counts = storm.run(options.sessions, options.rate, 230, make);
  const double took = std::chrono::duration<double>(SteadyClock::now() - start).count();
  fmt::print(
      "storm: {} hostile sessions in {:.0f} s, up to {} at a time, {} MB sent; {} ended by "
      "the server, {} turned away at the door\n",
      counts.ended, took, counts.in_flight_most, counts.bytes_sent >> 20, counts.ended_by_server,
      counts.turned_away);
}

int run(const Options& options) {
  Storm storm{options};
  const Target& target = options.target;
  if (options.bystander.empty()) {
    rage(storm, options);
    return 0;
  }
  Bystander bystander{options.unix_path, options.bystander, options.bystander_blocks, options.seed};
  // This thread's own work is to take nothing from the two that are measured: attackers have
  // machines of their own. The bystander's thread, which exists already, keeps its priority.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 19);
  const auto quiet = std::chrono::seconds(options.quiet_seconds);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  bystander.take();
  std::this_thread::sleep_for(quiet);
  const Bystander::Latencies alone = bystander.take();
  say("alone", alone);

  const std::uint64_t polite_sessions = options.rate * options.quiet_seconds;
  const Counts polite = storm.run(polite_sessions, options.rate, 128, [&](std::uint64_t number) {
    return polite_script(number, target);
  });
  say("beside polite sessions", bystander.take());

  rage(storm, options);
  const Bystander::Latencies beside = bystander.take();
  say("in the storm", beside);

  const Counts crowd = storm.run(options.crowd, 1'000, options.crowd,
                                 [&](std::uint64_t number) { return idle_script(number, target); });
  say("beside a crowd", bystander.take());
  fmt::print("crowd: {} connections that do nothing; {} ended by the server\n", crowd.ended,
             crowd.ended_by_server);

  std::this_thread::sleep_for(quiet);
  const Bystander::Latencies after = bystander.take();
  say("alone again", after);
  // To the mean of before and after: on a machine that has other work, the two differ themselves.
  const auto ratio = [](std::uint64_t storm_us, std::uint64_t before_us, std::uint64_t after_us) {
    return 2.0 * static_cast<double>(storm_us) / static_cast<double>(before_us + after_us + 1);
  };
  fmt::print(
      "ratio: {:.2f} of the bystander's p99 in the storm to its p99 alone; {:.2f} of flushes\n",
      ratio(beside.request_p99, alone.request_p99, after.request_p99),
      ratio(beside.flush_p99, alone.flush_p99, after.flush_p99));
  std::fflush(stdout);
  if (polite.turned_away != 0 || polite.greeted != polite.ended) {
    fmt::print(stderr, "hostile_sessions: of {} polite sessions {} were turned away, {} greeted\n",
               polite.ended, polite.turned_away, polite.greeted);
    return 1;
  }
  return 0;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    const std::map<std::string, std::uint64_t*> numbers{
        {"--bystander-blocks", &options.bystander_blocks},
        {"--target-bytes", &options.target.size_bytes},
        {"--seed", &options.seed},
        {"--first", &options.first},
        {"--sessions", &options.sessions},
        {"--rate", &options.rate},
        {"--crowd", &options.crowd},
        {"--quiet-seconds", &options.quiet_seconds}};
    if (const auto number = numbers.find(name); number != numbers.end()) {
      *number->second = std::stoull(value);
    } else if (name == "--unix") {
      options.unix_path = value;
    } else if (name == "--tcp") {
      options.tcp_port = static_cast<std::uint16_t>(std::stoul(value));
    } else if (name == "--bystander") {
      options.bystander = value;
    } else if (name == "--target") {
      options.target.names.push_back(value);
    } else {
      throw std::runtime_error("unknown option " + name);
    }
  }
  if (options.unix_path.empty() || options.target.names.empty() ||
      options.target.size_bytes < (1 << 20)) {
    throw std::runtime_error("usage: see the head of hostile_sessions.cc");
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) try {
  return run(parse(argc, argv));
} catch (const std::exception& error) {
  fmt::print(stderr, "hostile_sessions: {}\n", error.what());
  return 1;
}
