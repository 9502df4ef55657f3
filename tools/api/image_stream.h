// SPDX-License-Identifier: Apache-2.0
//
// ImageStream: an image as the stream of extent_stream.h, made piece by piece while somebody takes
// it: the body of GET /api/volumes/NAME/image. It reads ahead of its reader by a few MiB and then
// waits for it. What goes wrong once the stream has begun is told in it, as an error frame.
//
// On one scheduler's thread, one `next` or `abandon` at a time. After a `next` that gave something,
// either the end must be taken (`next` gives nothing) or `abandon` be called before it is
// destroyed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cdp/base/result.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/io/task.h"
#include "restore/image_source.h"
#include "tools/api/extent_stream.h"

namespace tools::api {

class ImageStream final : private restore::ExtentConsumer {
 public:
  static constexpr std::size_t kPieceBytes = 256u << 10;
  static constexpr std::size_t kAheadBytesMax = 4u << 20;

  // In order of offsets (?order=offset) for readers who cannot seek; else in the order that is
  // fastest to read. `scheduler` must outlive it.
  ImageStream(cdp::Scheduler& scheduler, std::unique_ptr<restore::ImageSource> source,
              bool in_offset_order = false);
  ~ImageStream() override;

  // The next bytes of the stream; nothing at its end.
  cdp::Task<cdp::Result<std::optional<std::string>>> next();
  // Nobody takes the rest. Returns when what was under way has ended.
  cdp::Task<void> abandon();
  // The stream ends soon, with this sentence as its error.
  void cancel(std::string why);

  // Bytes of the volume that have been told, and all of them.
  std::uint64_t told_bytes() const { return told_bytes_; }
  const restore::ImageSource& source() const { return *source_; }
  // Once it has ended: whether all was told.
  const cdp::Status& outcome() const { return outcome_; }

 private:
  cdp::Task<void> produce();
  cdp::Task<cdp::Status> data(std::uint64_t offset, std::span<const std::byte> bytes) override;
  cdp::Task<cdp::Status> zero(std::uint64_t offset, std::uint64_t length) override;
  bool wants_offset_order() const override { return in_offset_order_; }

  void append(std::span<const std::byte> bytes);
  void close_piece();
  cdp::Task<cdp::Status> wait_for_room();

  cdp::Scheduler& scheduler_;
  std::unique_ptr<restore::ImageSource> source_;
  const bool in_offset_order_;
  ExtentStreamEncoder encoder_;
  std::string open_piece_;
  std::deque<std::string> pieces_;  // ready to be taken
  std::size_t ahead_bytes_ = 0;     // in pieces_
  bool started_ = false;
  bool ended_ = false;  // produce() has returned
  bool abandoned_ = false;
  std::string cancelled_;  // why; empty: it is not
  std::uint64_t told_bytes_ = 0;
  cdp::Status outcome_;
  cdp::Signal changed_;
};

}  // namespace tools::api
