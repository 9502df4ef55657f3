// SPDX-License-Identifier: Apache-2.0
//
// MemoryStream: the server's end of a connection whose other end is the test itself. The test
// pushes bytes and takes what was sent; it can fragment receives, not take what is sent, and
// vanish. MemoryListener hands such streams out.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cdp/io/signal.h"
#include "cdp/io/stream.h"
#include "tests/sim/random.h"

namespace cdp::test {

using Bytes = std::vector<std::byte>;

// The connection; the test keeps it beyond the stream.
struct Connection {
  explicit Connection(Scheduler& scheduler) : changed(scheduler), sent(scheduler) {}

  // To the server.
  void push(std::span<const std::byte> bytes) {
    to_server.insert(to_server.end(), bytes.begin(), bytes.end());
    changed.notify_all();
  }
  // The client ends its side, or (`vanish`) is gone altogether.
  void end_input() {
    input_ended = true;
    changed.notify_all();
  }
  void vanish() {
    gone = true;
    end_input();
  }
  void take_replies(bool on) {
    takes_replies = on;
    changed.notify_all();
  }
  // From the server, since the last call.
  Bytes take() { return std::exchange(from_server, {}); }

  Signal changed;
  Signal sent;  // by the server, or it has shut down
  Bytes to_server;
  std::size_t to_server_at = 0;
  Bytes from_server;
  std::size_t sends = 0;
  std::size_t vectors_max = 0;
  bool takes_replies = true;
  bool input_ended = false;
  bool gone = false;
  bool shut_down = false;  // by the server
  sim::Random* fragments = nullptr;
};

class MemoryStream final : public Stream {
 public:
  explicit MemoryStream(std::shared_ptr<Connection> connection)
      : connection_(std::move(connection)) {}
  ~MemoryStream() override { MemoryStream::shutdown(); }

  Task<Result<std::size_t>> receive(std::span<const iovec> into) override {
    Connection& c = *connection_;
    while (c.to_server_at == c.to_server.size() && !c.input_ended && !c.shut_down) {
      co_await c.changed.wait();
    }
    if (c.shut_down) co_return std::size_t{0};
    std::size_t most = c.to_server.size() - c.to_server_at;
    if (c.fragments != nullptr && most > 0) most = c.fragments->between(1, most);
    std::size_t taken = 0;
    for (const iovec& part : into) {
      const std::size_t step = std::min(part.iov_len, most - taken);
      if (step > 0) std::memcpy(part.iov_base, c.to_server.data() + c.to_server_at, step);
      c.to_server_at += step;
      taken += step;
    }
    if (c.to_server_at == c.to_server.size()) {
      c.to_server.clear();
      c.to_server_at = 0;
    }
    co_return taken;
  }

  Task<Status> send(std::span<const iovec> from) override {
    Connection& c = *connection_;
    ++c.sends;
    c.vectors_max = std::max(c.vectors_max, from.size());
    while (!c.takes_replies && !c.gone && !c.shut_down) co_await c.changed.wait();
    if (c.gone || c.shut_down) co_return make_error(EPIPE, "the test has gone away");
    for (const iovec& part : from) {
      const auto* bytes = static_cast<const std::byte*>(part.iov_base);
      c.from_server.insert(c.from_server.end(), bytes, bytes + part.iov_len);
    }
    c.sent.notify_all();
    co_return Status{};
  }

  void shutdown() override {
    connection_->shut_down = true;
    connection_->changed.notify_all();
    connection_->sent.notify_all();
  }
  const std::string& peer() const override { return peer_; }

 private:
  std::shared_ptr<Connection> connection_;
  std::string peer_ = "test";
};

class MemoryListener final : public Listener {
 public:
  // What outlives the listener, as the server owns that.
  struct Queue {
    explicit Queue(Scheduler& scheduler) : changed(scheduler) {}
    void connect(std::shared_ptr<Connection> connection) {
      waiting.push_back(std::move(connection));
      changed.notify_all();
    }
    std::deque<std::shared_ptr<Connection>> waiting;
    std::deque<Error> failures;  // of the next accepts
    bool closed = false;
    Signal changed;
  };
  explicit MemoryListener(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}

  Task<Result<std::unique_ptr<Stream>>> accept() override {
    while (queue_->waiting.empty() && queue_->failures.empty() && !queue_->closed) {
      co_await queue_->changed.wait();
    }
    if (queue_->closed) co_return make_error(ECANCELED, "closed");
    if (!queue_->failures.empty()) {
      Error failure = queue_->failures.front();
      queue_->failures.pop_front();
      co_return failure;
    }
    auto stream = std::make_unique<MemoryStream>(queue_->waiting.front());
    queue_->waiting.pop_front();
    co_return stream;
  }
  void close() override {
    queue_->closed = true;
    queue_->changed.notify_all();
  }

 private:
  std::shared_ptr<Queue> queue_;
};

}  // namespace cdp::test
