// SPDX-License-Identifier: Apache-2.0
#include "cdp/nbd/server.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cdp/base/check.h"

namespace cdp::nbd {
namespace {

// After a failed accept (no descriptors or memory left, mostly).
constexpr Nanos kAcceptRetryDelay = milliseconds(100);
// For a session to end; after it, another is looked for.
constexpr Nanos kEndingDelay = milliseconds(100);

}  // namespace

Server::Server(Scheduler& scheduler, ExportList& exports, Limits limits)
    : scheduler_(scheduler),
      exports_(exports),
      limits_(limits),
      shared_{.admissions = Admissions{limits},
              .log = LogBudget{scheduler},
              .failures_log = LogBudget{scheduler}},
      ended_(scheduler),
      running_(scheduler) {}

Server::~Server() { CHECK(listeners_.empty() && sessions_.empty()); }

Task<void> Server::serve(std::unique_ptr<Listener> listener, TlsTerms tls) {
  if (shut_down_) co_return;
  const auto self = listeners_.insert(listeners_.end(), listener.get());
  for (;;) {
    Result<std::unique_ptr<Stream>> stream = co_await listener->accept();
    if (!stream.ok() && (shut_down_ || stream.error().code == ECANCELED)) break;
    if (!stream.ok()) {
      if (shared_.log.take()) {
        spdlog::error("nbd: accepting a connection failed: {}", stream.error().message);
      }
      co_await sleep_for(scheduler_, kAcceptRetryDelay);
      if (shut_down_) break;
      continue;
    }
    const bool has_room = co_await room_for_one();
    if (shut_down_) {
      (*stream)->shutdown();
      break;
    }
    if (!has_room) {
      if (shared_.log.take()) {
        spdlog::warn("nbd client {}: refused, as all {} connections are in use", (*stream)->peer(),
                     limits_.connections_max);
      }
      (*stream)->shutdown();
      continue;
    }
    running_.spawn(run_session(std::move(*stream), tls));
  }
  listeners_.erase(self);
  ended_.notify_all();
}

Task<bool> Server::room_for_one() {
  while (!shut_down_ && running_.running() >= limits_.connections_max) {
    Session* oldest = nullptr;
    std::size_t serving = 0;
    for (Session* session : sessions_) {  // in the order of their coming
      serving += session->device() != nullptr ? 1 : 0;
      if (oldest == nullptr && session->negotiates()) oldest = session;
    }
    if (serving >= limits_.connections_max) co_return false;
    const Nanos now = scheduler_.now();
    Nanos until = now + kEndingDelay;
    if (oldest != nullptr && now >= oldest->began() + limits_.handshake_ns_min) {
      if (shared_.log.take()) {
        spdlog::warn(
            "nbd client {}: ended within its negotiation, as all {} connections are in use",
            oldest->peer(), limits_.connections_max);
      }
      oldest->stop();
    } else if (oldest != nullptr) {
      until = std::min(until, oldest->began() + limits_.handshake_ns_min);
    }
    co_await ended_.wait_until(until);
  }
  co_return true;
}

Task<void> Server::run_session(std::unique_ptr<Stream> stream, TlsTerms tls) {
  Session session{scheduler_, std::move(stream), exports_, limits_, &shared_, tls};
  const auto self = sessions_.insert(sessions_.end(), &session);
  if (shut_down_) session.stop();
  co_await session.run();
  sessions_.erase(self);
  ended_.notify_all();
}

Task<void> Server::shutdown() {
  shut_down_ = true;
  for (Listener* listener : listeners_) listener->close();
  for (Session* session : sessions_) session->stop();
  ended_.notify_all();
  while (!listeners_.empty()) co_await ended_.wait();
  co_await running_.join();
  shared_.log.tell_left_out();
  shared_.failures_log.tell_left_out();
}

Task<void> Server::disconnect(std::shared_ptr<const BlockDevice> device) {
  CHECK(device != nullptr);
  const auto serves_it = [&](const Session* session) { return session->device() == device.get(); };
  for (Session* session : sessions_) {
    if (serves_it(session)) session->stop();
  }
  while (std::any_of(sessions_.begin(), sessions_.end(), serves_it)) {
    co_await ended_.wait();
  }
}

std::size_t Server::connections_to(const BlockDevice& device) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      sessions_, [&](const Session* session) { return session->device() == &device; }));
}

std::vector<Server::Connection> Server::connections() const {
  std::vector<Connection> all;
  for (const Session* session : sessions_) {
    const BlockDevice* const device = session->device();
    all.push_back({.peer = session->peer(),
                   .export_name = session->export_name(),
                   .device = device,
                   .read_only = device != nullptr && device->read_only(),
                   .encrypted = session->is_secure(),
                   .began = session->began()});
  }
  return all;
}

}  // namespace cdp::nbd
