// SPDX-License-Identifier: Apache-2.0
#include "cdp/nbd/output.h"

#include <algorithm>
#include <utility>

namespace cdp::nbd {

Output::Output(Scheduler& scheduler, Stream& stream, Flow& flow, const Limits& limits)
    : scheduler_(scheduler),
      stream_(stream),
      flow_(flow),
      limits_(limits),
      added_(scheduler),
      stall_(scheduler, stream) {}

Output::~Output() { CHECK(filling_.pieces.empty() && sending_.pieces.empty()); }

void Output::wake() {
  if (added_.has_waiters()) added_.notify_all();
}

void Output::close() {
  closed_ = true;
  wake();
}

void Output::add_text(std::span<const std::byte> bytes, std::uint32_t ended) {
  if (failed_) return flow_.give_back(ended, 0);
  const auto at = static_cast<std::uint32_t>(filling_.text.size());
  const auto length = static_cast<std::uint32_t>(bytes.size());
  filling_.text.insert(filling_.text.end(), bytes.begin(), bytes.end());
  if (!filling_.pieces.empty() && filling_.pieces.back().data == nullptr) {
    filling_.pieces.back().length += length;
    filling_.pieces.back().ended += ended;
  } else {
    filling_.pieces.push_back({.text_at = at, .length = length, .ended = ended});
  }
  wake();
}

void Output::add_pages(std::uint64_t offset, std::uint32_t bytes, PageList pages) {
  if (failed_) return flow_.give_back(0, bytes);
  std::size_t within = offset % kBlockBytes;
  std::uint32_t left = bytes;
  for (PageRef& page : pages) {
    if (left == 0) break;
    const auto length =
        static_cast<std::uint32_t>(std::min<std::size_t>(left, kBlockBytes - within));
    const std::byte* const start = page.data() + within;
    filling_.pieces.push_back(
        {.page = std::move(page), .data = start, .length = length, .flow_bytes = length});
    left -= length;
    within = 0;
  }
  CHECK(left == 0);
  wake();
}

void Output::reply(std::span<const std::byte> bytes, std::uint32_t ended) {
  if (!run_open_) return add_text(bytes, ended);
  deferred_.insert(deferred_.end(), bytes.begin(), bytes.end());
  deferred_ended_ += ended;
}

void Output::reply_with_data(std::span<const std::byte> head, std::uint64_t offset,
                             std::uint32_t bytes, PageList pages, std::uint32_t ended) {
  CHECK(!run_open_);
  add_text(head, 0);
  add_pages(offset, bytes, std::move(pages));
  if (failed_) return flow_.give_back(ended, 0);
  filling_.pieces.back().ended += ended;
}

void Output::open_run(std::span<const std::byte> head) {
  CHECK(!run_open_);
  add_text(head, 0);
  run_open_ = true;
}

void Output::add_to_run(std::uint64_t offset, std::uint32_t bytes, PageList pages) {
  CHECK(run_open_);
  add_pages(offset, bytes, std::move(pages));
}

void Output::add_zeroes_to_run(std::uint64_t bytes) {
  CHECK(run_open_);
  if (failed_) return;
  const PageRef zeroes = zero_page();
  while (bytes > 0) {
    const auto length = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, kBlockBytes));
    filling_.pieces.push_back({.page = zeroes, .data = zeroes.data(), .length = length});
    bytes -= length;
  }
  wake();
}

void Output::close_run(std::span<const std::byte> tail, std::uint32_t ended) {
  CHECK(run_open_);
  run_open_ = false;
  if (!tail.empty()) {
    add_text(tail, ended);
  } else if (!filling_.pieces.empty()) {
    filling_.pieces.back().ended += ended;
  } else {
    flow_.give_back(ended, 0);
  }
  if (!deferred_.empty()) add_text(deferred_, std::exchange(deferred_ended_, 0));
  deferred_.clear();
}

Task<void> Output::run() {
  for (;;) {
    while (filling_.pieces.empty() && !closed_) co_await added_.wait();
    if (filling_.pieces.empty()) co_return;
    co_await turn_end(scheduler_);
    std::swap(filling_, sending_);
    co_await send_batch();
    sending_.clear();
  }
}

Task<void> Output::send_batch() {
  for (std::size_t from = 0; from < sending_.pieces.size();) {
    if (failed_) co_return drop(sending_, from);
    const std::size_t to = gather(from);
    stall_.start(limits_.stall_ns_max);
    Status sent = co_await stream_.send(vectors_);
    stall_.stop();
    ++sends_;
    if (!sent.ok()) {
      failed_ = true;
      failure_ = stall_.expired() ? "the client does not take its replies" : sent.error().message;
      drop(filling_, 0);
      filling_.clear();
      stream_.shutdown();
    }
    release(from, to);
    from = to;
  }
}

// Vectors for the pieces from `from` on that fit one send; gives the first that does not.
std::size_t Output::gather(std::size_t from) {
  vectors_.clear();
  std::size_t bytes = 0;
  std::size_t at = from;
  for (; at < sending_.pieces.size() && bytes < kSendBytesMax; ++at) {
    const Piece& piece = sending_.pieces[at];
    const std::byte* const data =
        piece.data != nullptr ? piece.data : sending_.text.data() + piece.text_at;
    iovec* const last = vectors_.empty() ? nullptr : &vectors_.back();
    if (last != nullptr && static_cast<std::byte*>(last->iov_base) + last->iov_len == data) {
      last->iov_len += piece.length;
    } else if (vectors_.size() == kSendVectorsMax) {
      break;
    } else {
      vectors_.push_back({const_cast<std::byte*>(data), piece.length});
    }
    bytes += piece.length;
  }
  return at;
}

void Output::release(std::size_t from, std::size_t to) {
  std::uint32_t ended = 0;
  std::uint64_t bytes = 0;
  for (std::size_t at = from; at < to; ++at) {
    Piece& piece = sending_.pieces[at];
    piece.page.reset();
    ended += piece.ended;
    bytes += piece.flow_bytes;
  }
  flow_.give_back(ended, bytes);
}

void Output::drop(Batch& batch, std::size_t from) {
  std::uint32_t ended = 0;
  std::uint64_t bytes = 0;
  for (std::size_t at = from; at < batch.pieces.size(); ++at) {
    ended += batch.pieces[at].ended;
    bytes += batch.pieces[at].flow_bytes;
  }
  flow_.give_back(ended, bytes);
}

}  // namespace cdp::nbd
