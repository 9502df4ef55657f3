// SPDX-License-Identifier: Apache-2.0
//
// Output: the sending half of a connection in transmission. Replies gather while a turn of the
// scheduler runs, and leave together in one send at its end; data is sent from the pages that hold
// it, which are referenced until it was sent.
//
// Flow: what a connection has in flight. A request counts from its parsing until its reply was
// sent (so a client that does not read its replies is not read from either), payload bytes as
// limits.h says. Output gives back what it sends, or drops after a failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cdp/io/pages.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/io/stream.h"
#include "cdp/io/task.h"
#include "cdp/nbd/limits.h"

namespace cdp::nbd {

// Ends a connection whose peer does not do its part in time.
class StallTimer final : private Timer {
 public:
  StallTimer(Scheduler& scheduler, Stream& stream) : scheduler_(scheduler), stream_(stream) {}
  ~StallTimer() override { stop(); }

  void start(Nanos limit) { scheduler_.arm(*this, scheduler_.now() + limit); }
  void stop() { scheduler_.cancel(*this); }
  // The limit has passed once, and the stream was shut down.
  bool expired() const { return expired_; }

 private:
  void fire() override {
    expired_ = true;
    stream_.shutdown();
  }

  Scheduler& scheduler_;
  Stream& stream_;
  bool expired_ = false;
};

class Flow {
 public:
  Flow(Scheduler& scheduler, const Limits& limits) : changed_(scheduler), limits_(limits) {}

  bool has_room(std::uint32_t requests, std::uint64_t bytes) const {
    return requests_ + requests <= limits_.requests_in_flight_max &&
           bytes_ + bytes <= limits_.bytes_in_flight_max;
  }
  void take(std::uint32_t requests, std::uint64_t bytes) {
    requests_ += requests;
    bytes_ += bytes;
  }
  void give_back(std::uint32_t requests, std::uint64_t bytes) {
    CHECK(requests <= requests_ && bytes <= bytes_);
    requests_ -= requests;
    bytes_ -= bytes;
    changed_.notify_all();
  }
  std::uint32_t requests() const { return requests_; }
  std::uint64_t bytes() const { return bytes_; }
  Signal& changed() { return changed_; }

 private:
  Signal changed_;
  const Limits& limits_;
  std::uint32_t requests_ = 0;
  std::uint64_t bytes_ = 0;
};

class Output {
 public:
  Output(Scheduler& scheduler, Stream& stream, Flow& flow, const Limits& limits);
  ~Output();

  // The sender; ends after `close`, when everything was sent, or has failed.
  Task<void> run();
  void close();

  // A reply, or a chunk of one, without data from pages. `ended`: how many requests end with it.
  void reply(std::span<const std::byte> bytes, std::uint32_t ended);
  // The same with the device's bytes [offset, offset + bytes) behind it, which count as taken from
  // the flow. Not while a run is open.
  void reply_with_data(std::span<const std::byte> head, std::uint64_t offset, std::uint32_t bytes,
                       PageList pages, std::uint32_t ended);

  // A run: one reply whose data comes piece by piece; other replies wait behind it meanwhile.
  void open_run(std::span<const std::byte> head);
  void add_to_run(std::uint64_t offset, std::uint32_t bytes, PageList pages);
  void add_zeroes_to_run(std::uint64_t bytes);  // not taken from the flow
  void close_run(std::span<const std::byte> tail, std::uint32_t ended);

  // The peer takes nothing any more: what is added is dropped.
  bool failed() const { return failed_; }
  // Why.
  const std::string& failure() const { return failure_; }
  std::uint64_t sends() const { return sends_; }

 private:
  // Consecutive bytes to send: of `Batch::text`, or of a page.
  struct Piece {
    PageRef page{};
    const std::byte* data = nullptr;  // null: text
    std::uint32_t text_at = 0;
    std::uint32_t length = 0;
    std::uint32_t ended = 0;       // requests, given back when sent
    std::uint32_t flow_bytes = 0;  // likewise
  };
  struct Batch {
    std::vector<std::byte> text;
    std::vector<Piece> pieces;
    void clear() {
      text.clear();
      pieces.clear();
    }
  };

  void add_text(std::span<const std::byte> bytes, std::uint32_t ended);
  void add_pages(std::uint64_t offset, std::uint32_t bytes, PageList pages);
  void wake();
  void drop(Batch& batch, std::size_t from);
  Task<void> send_batch();
  std::size_t gather(std::size_t from);
  void release(std::size_t from, std::size_t to);

  Scheduler& scheduler_;
  Stream& stream_;
  Flow& flow_;
  const Limits& limits_;
  Signal added_;
  StallTimer stall_;
  Batch filling_;
  Batch sending_;
  std::vector<iovec> vectors_;
  std::vector<std::byte> deferred_;  // replies that came while a run was open
  std::uint32_t deferred_ended_ = 0;
  bool run_open_ = false;
  bool closed_ = false;
  bool failed_ = false;
  std::string failure_;
  std::uint64_t sends_ = 0;
};

}  // namespace cdp::nbd
