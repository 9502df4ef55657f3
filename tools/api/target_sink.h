// SPDX-License-Identifier: Apache-2.0
//
// TargetSink: writes what an ExtentStreamDecoder finds to a target, in the order in which it comes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "restore/image_target.h"
#include "tools/api/extent_stream.h"

namespace tools::api {

class TargetSink final : public ExtentSink {
 public:
  // `target` must outlive it; its `finish` is the caller's to call.
  explicit TargetSink(restore::ImageTarget& target) : target_(target) {}

  cdp::Status start(const ImageInfo& info) override {
    info_ = info;
    return target_.start({info.size_bytes, info.data_bytes});
  }
  cdp::Status data(std::uint64_t offset, std::span<const std::byte> bytes) override {
    cdp::Status in_order = advance(offset, bytes.size());
    return in_order.ok() ? target_.data(offset, bytes) : in_order;
  }
  cdp::Status zero(std::uint64_t offset, std::uint64_t length) override {
    cdp::Status in_order = advance(offset, length);
    return in_order.ok() ? target_.zero(offset, length) : in_order;
  }
  void notice(std::string sentence) override { notices_.push_back(std::move(sentence)); }

  const ImageInfo& info() const { return info_; }
  const std::vector<std::string>& notices() const { return notices_; }

 private:
  cdp::Status advance(std::uint64_t offset, std::uint64_t length) {
    if (target_.wants_offset_order() && offset != next_offset_) {
      return cdp::make_error(EBADMSG,
                             "the image stream from the server is damaged: an extent at {} came "
                             "where the one at {} was due",
                             offset, next_offset_);
    }
    next_offset_ = offset + length;
    return {};
  }

  restore::ImageTarget& target_;
  ImageInfo info_;
  std::vector<std::string> notices_;
  std::uint64_t next_offset_ = 0;
};

}  // namespace tools::api
