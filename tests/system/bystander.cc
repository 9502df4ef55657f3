// SPDX-License-Identifier: Apache-2.0
#include "tests/system/bystander.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <utility>

#include "cdp/base/endian.h"
#include "cdp/nbd/protocol.h"
#include "tests/system/hostile_script.h"

namespace hostile {
namespace {

using namespace cdp::nbd;
using SteadyClock = std::chrono::steady_clock;

constexpr std::uint32_t kBlock = 4096;
constexpr auto kPause = std::chrono::microseconds(700);
constexpr unsigned kRequestsPerFlush = 50;
constexpr unsigned kRequestsPerConnection = 200;
// A request that takes longer counts as a door that is closed.
constexpr int kPatienceSeconds = 20;

[[noreturn]] void complain(const std::string& what) {
  fmt::print(stderr, "hostile_sessions: the bystander {}\n", what);
  std::fflush(stderr);
  std::_Exit(1);
}

std::uint32_t microseconds_since(SteadyClock::time_point start) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - start).count());
}

// A block of one version; version 0 is what was never written.
void fill(char* block, std::uint64_t index, std::uint64_t version) {
  std::memset(block, 0, kBlock);
  if (version == 0) return;
  std::mt19937_64 random{index * 1'000'003 + version};
  for (std::size_t at = 0; at < kBlock; at += 512) {
    const std::uint64_t word = random();
    std::memcpy(block + at, &word, sizeof word);
    std::memcpy(block + at + 8, &index, sizeof index);
    std::memcpy(block + at + 16, &version, sizeof version);
  }
}

std::uint64_t percentile(std::vector<std::uint32_t>& of, double share) {
  if (of.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(static_cast<double>(of.size() - 1) * share);
  std::nth_element(of.begin(), of.begin() + at, of.end());
  return of[static_cast<std::size_t>(at)];
}

}  // namespace

Bystander::Bystander(std::string socket_path, std::string export_name, std::uint64_t blocks,
                     std::uint64_t seed)
    : socket_path_(std::move(socket_path)), export_name_(std::move(export_name)), blocks_(blocks) {
  thread_ = std::thread{[this, seed] { run(seed); }};
}

Bystander::~Bystander() {
  ending_ = true;
  thread_.join();
}

Bystander::Latencies Bystander::take() {
  wanted_ = 1;
  while (wanted_ == 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  Latencies said;
  said.requests = taken_.requests.size();
  said.flushes = taken_.flushes.size();
  said.connections = taken_.connections.size();
  said.request_p50 = percentile(taken_.requests, 0.5);
  said.request_p99 = percentile(taken_.requests, 0.99);
  said.flush_p99 = percentile(taken_.flushes, 0.99);
  said.connect_most = percentile(taken_.connections, 1.0);
  return said;
}

void Bystander::run(std::uint64_t seed) {
  Random random{seed};
  std::vector<std::uint64_t> versions(blocks_);
  std::vector<char> expected(kBlock);
  std::vector<char> block(kBlock);
  for (std::uint64_t turn = 0; !ending_; ++turn) {
    if (wanted_ == 1) {
      taken_ = std::exchange(samples_, {});
      wanted_ = 0;
    }
    if (turn % kRequestsPerConnection == 0) {
      const auto start = SteadyClock::now();
      connect();
      samples_.connections.push_back(microseconds_since(start));
    }
    if (turn == 0) {
      const auto all = static_cast<std::uint32_t>(blocks_ * kBlock);
      request(static_cast<std::uint16_t>(Command::kWriteZeroes), 0, all, nullptr, nullptr);
    }
    const std::uint64_t index = below(random, blocks_);
    const bool writes = one_in(random, 2);
    if (writes) fill(expected.data(), index, ++versions[index]);
    const auto start = SteadyClock::now();
    if (writes) {
      request(static_cast<std::uint16_t>(Command::kWrite), index * kBlock, kBlock, expected.data(),
              nullptr);
    } else {
      request(static_cast<std::uint16_t>(Command::kRead), index * kBlock, kBlock, nullptr,
              block.data());
    }
    samples_.requests.push_back(microseconds_since(start));
    if (!writes) {
      fill(expected.data(), index, versions[index]);
      if (block != expected) {
        complain(fmt::format("read block {} and it is not version {} that it wrote", index,
                             versions[index]));
      }
    }
    if (turn % kRequestsPerFlush == kRequestsPerFlush - 1) {
      const auto flushed = SteadyClock::now();
      request(static_cast<std::uint16_t>(Command::kFlush), 0, 0, nullptr, nullptr);
      samples_.flushes.push_back(microseconds_since(flushed));
    }
    std::this_thread::sleep_for(kPause);
  }
  close(fd_);
}

void Bystander::connect() {
  if (fd_ >= 0) {
    std::string farewell;
    put_request(farewell, 0, static_cast<std::uint16_t>(Command::kDisconnect), 0, 0, 0);
    send_all(farewell.data(), farewell.size());
    close(fd_);
  }
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = kPatienceSeconds, .tv_usec = 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  socket_path_.copy(name.sun_path, sizeof name.sun_path - 1);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    complain(fmt::format("could not connect: {}", std::strerror(errno)));
  }
  std::string hello;
  put_client_flags(hello, kClientFlagFixedNewstyle | kClientFlagNoZeroes);
  put_option(hello, kOptExportName, export_name_);
  char greeting[18];
  receive_all(greeting, sizeof greeting);
  send_all(hello.data(), hello.size());
  char welcome[10];
  receive_all(welcome, sizeof welcome);
}

void Bystander::request(std::uint16_t command, std::uint64_t offset, std::uint32_t length,
                        const char* payload, char* answer) {
  std::string bytes;
  put_request(bytes, 0, command, ++cookie_, offset, length);
  if (payload != nullptr) bytes.append(payload, length);
  send_all(bytes.data(), bytes.size());
  char reply[kSimpleReplyBytes];
  receive_all(reply, sizeof reply);
  const auto* fields = reinterpret_cast<const std::byte*>(reply);
  if (cdp::load_be<std::uint32_t>(fields) != kSimpleReplyMagic ||
      cdp::load_be<std::uint64_t>(fields + 8) != cookie_) {
    complain("got a reply that is none of its own");
  }
  if (const auto error = cdp::load_be<std::uint32_t>(fields + 4); error != 0) {
    complain(fmt::format("got error {} for command {}", error, command));
  }
  if (answer != nullptr) receive_all(answer, length);
}

void Bystander::send_all(const char* from, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t sent = send(fd_, from, bytes, MSG_NOSIGNAL);
    if (sent <= 0) complain(fmt::format("could not send: {}", std::strerror(errno)));
    from += sent;
    bytes -= static_cast<std::size_t>(sent);
  }
}

void Bystander::receive_all(char* to, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t received = recv(fd_, to, bytes, 0);
    if (received == 0) complain("was thrown out, or not let in");
    if (received < 0) complain(fmt::format("got no answer: {}", std::strerror(errno)));
    to += received;
    bytes -= static_cast<std::size_t>(received);
  }
}

}  // namespace hostile
