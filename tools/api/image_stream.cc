// SPDX-License-Identifier: Apache-2.0
#include "tools/api/image_stream.h"

#include <utility>

#include "cdp/base/check.h"

namespace tools::api {

using cdp::Result;
using cdp::Status;
using cdp::Task;

ImageStream::ImageStream(cdp::Scheduler& scheduler, std::unique_ptr<restore::ImageSource> source,
                         bool in_offset_order)
    : scheduler_(scheduler),
      source_(std::move(source)),
      in_offset_order_(in_offset_order),
      changed_(scheduler) {}

ImageStream::~ImageStream() { CHECK(!started_ || ended_); }

Task<Result<std::optional<std::string>>> ImageStream::next() {
  if (!started_) {
    started_ = true;
    scheduler_.spawn(produce());
  }
  while (pieces_.empty() && !ended_) co_await changed_.wait();
  if (pieces_.empty()) co_return std::optional<std::string>{};
  std::optional<std::string> piece{std::move(pieces_.front())};
  pieces_.pop_front();
  ahead_bytes_ -= piece->size();
  changed_.notify_all();
  co_return std::move(piece);
}

Task<void> ImageStream::abandon() {
  abandoned_ = true;
  changed_.notify_all();
  while (started_ && !ended_) co_await changed_.wait();
}

void ImageStream::cancel(std::string why) {
  cancelled_ = std::move(why);
  changed_.notify_all();
}

Task<void> ImageStream::produce() {
  const restore::ResolvedPoint& point = source_->point();
  append(
      encoder_.start({source_->size_bytes(), point.at.lsn, point.at.time, source_->data_bytes()}));
  Status exported = co_await source_->run(*this, restore::ExportOptions{});
  if (exported.ok()) {
    for (const restore::Notice& notice : source_->notices()) {
      append(encoder_.notice(notice.message));
    }
    append(encoder_.end());
  } else {
    append(encoder_.error(exported.error().message));
  }
  outcome_ = std::move(exported);
  close_piece();
  ended_ = true;
  changed_.notify_all();
}

Task<Status> ImageStream::data(std::uint64_t offset, std::span<const std::byte> bytes) {
  append(encoder_.data(offset, bytes));
  append(bytes);
  told_bytes_ += bytes.size();
  return wait_for_room();
}

Task<Status> ImageStream::zero(std::uint64_t offset, std::uint64_t length) {
  append(encoder_.zero(offset, length));
  told_bytes_ += length;
  return wait_for_room();
}

void ImageStream::append(std::span<const std::byte> bytes) {
  open_piece_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void ImageStream::close_piece() {
  if (open_piece_.empty()) return;
  ahead_bytes_ += open_piece_.size();
  pieces_.push_back(std::exchange(open_piece_, {}));
  changed_.notify_all();
}

Task<Status> ImageStream::wait_for_room() {
  if (open_piece_.size() >= kPieceBytes) close_piece();
  while (ahead_bytes_ >= kAheadBytesMax && !abandoned_ && cancelled_.empty())
    co_await changed_.wait();
  if (!cancelled_.empty()) co_return cdp::Error{ECANCELED, cancelled_};
  if (abandoned_) co_return cdp::make_error(ECANCELED, "nobody takes the image any more");
  co_return Status{};
}

}  // namespace tools::api
