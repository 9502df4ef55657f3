// SPDX-License-Identifier: Apache-2.0
#include "tools/api/extent_stream.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "cdp/base/check.h"
#include "cdp/base/endian.h"

namespace tools::api {
namespace {

using cdp::load_le;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::store_le;

constexpr std::string_view kMagic = "HSIMAGE1";
constexpr std::size_t kStreamChecksumAt = 56;
constexpr std::size_t kFrameChecksumAt = 24;

enum FrameKind : std::uint8_t { kData = 1, kZero = 2, kEnd = 3, kError = 4, kNotice = 5 };

constexpr std::uint64_t kUnknownDataBytes = UINT64_MAX;

std::uint64_t frame_checksum(std::span<const std::byte> header,
                             std::span<const std::byte> payload) {
  const std::uint64_t over_header = XXH3_64bits(header.data(), kFrameChecksumAt);
  return XXH3_64bits_withSeed(payload.data(), payload.size(), over_header);
}

cdp::Error damaged(std::string_view what) {
  return make_error(EBADMSG, "the image stream from the server is damaged: {}", what);
}

}  // namespace

StreamHeader ExtentStreamEncoder::start(const ImageInfo& info) {
  StreamHeader header{};
  std::memcpy(header.data(), kMagic.data(), kMagic.size());
  store_le(header.data() + 8, info.size_bytes);
  store_le(header.data() + 16, info.lsn.value);
  store_le(header.data() + 24, info.time.value);
  store_le(header.data() + 32, info.data_bytes.value_or(kUnknownDataBytes));
  store_le(header.data() + kStreamChecksumAt,
           std::uint64_t{XXH3_64bits(header.data(), kStreamChecksumAt)});
  return header;
}

FrameHeader ExtentStreamEncoder::frame(std::uint8_t kind, std::uint64_t offset,
                                       std::uint64_t length, std::span<const std::byte> payload) {
  FrameHeader header{};
  header[0] = std::byte{kind};
  store_le(header.data() + 4, next_number_++);
  store_le(header.data() + 8, offset);
  store_le(header.data() + 16, length);
  store_le(header.data() + kFrameChecksumAt, frame_checksum(header, payload));
  return header;
}

FrameHeader ExtentStreamEncoder::data(std::uint64_t offset, std::span<const std::byte> payload) {
  CHECK(!payload.empty() && payload.size() <= kFrameDataBytesMax);
  data_bytes_ += payload.size();
  return frame(kData, offset, payload.size(), payload);
}

FrameHeader ExtentStreamEncoder::zero(std::uint64_t offset, std::uint64_t length) {
  CHECK(length > 0);
  return frame(kZero, offset, length, {});
}

FrameHeader ExtentStreamEncoder::end() { return frame(kEnd, 0, data_bytes_, {}); }

std::vector<std::byte> ExtentStreamEncoder::text_frame(std::uint8_t kind,
                                                       std::string_view sentence) {
  sentence = sentence.substr(0, kFrameTextBytesMax);
  const auto payload = std::as_bytes(std::span{sentence});
  const FrameHeader header = frame(kind, 0, payload.size(), payload);
  std::vector<std::byte> whole(header.begin(), header.end());
  whole.insert(whole.end(), payload.begin(), payload.end());
  return whole;
}

std::vector<std::byte> ExtentStreamEncoder::error(std::string_view sentence) {
  return text_frame(kError, sentence);
}

std::vector<std::byte> ExtentStreamEncoder::notice(std::string_view sentence) {
  return text_frame(kNotice, sentence);
}

Status ExtentStreamDecoder::feed(std::span<const std::byte> bytes) {
  if (state_ == State::kFailed) return make_error(EPIPE, "the image stream has failed before");
  Status status = feed_units(bytes);
  if (!status.ok()) state_ = State::kFailed;
  return status;
}

// Whole units are taken where they lie; only one that spans two calls is copied together.
Status ExtentStreamDecoder::feed_units(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (state_ == State::kEnded) return damaged("something follows its end");
    if (partial_.empty()) {
      const Result<std::size_t> wanted = unit_bytes(bytes);
      if (!wanted.ok()) return wanted.error();
      if (*wanted != 0 && bytes.size() >= *wanted) {
        Status taken = take_unit(bytes.first(*wanted));
        if (!taken.ok()) return taken;
        bytes = bytes.subspan(*wanted);
        continue;
      }
      partial_.assign(bytes.begin(), bytes.end());
      return {};
    }
    const Result<std::size_t> wanted = unit_bytes(partial_);
    if (!wanted.ok()) return wanted.error();
    const std::size_t target =
        *wanted != 0 ? *wanted
                     : (state_ == State::kHeader ? kStreamHeaderBytes : kFrameHeaderBytes);
    const std::size_t more = std::min(target - partial_.size(), bytes.size());
    partial_.insert(partial_.end(), bytes.begin(),
                    bytes.begin() + static_cast<std::ptrdiff_t>(more));
    bytes = bytes.subspan(more);
    const Result<std::size_t> whole = unit_bytes(partial_);
    if (!whole.ok()) return whole.error();
    if (*whole != 0 && partial_.size() == *whole) {
      Status taken = take_unit(partial_);
      if (!taken.ok()) return taken;
      partial_.clear();
    }
  }
  return {};
}

Result<std::size_t> ExtentStreamDecoder::unit_bytes(std::span<const std::byte> unit) const {
  if (state_ == State::kHeader) return kStreamHeaderBytes;
  if (unit.size() < kFrameHeaderBytes) return std::size_t{0};
  const auto kind = static_cast<std::uint8_t>(unit[0]);
  const auto length = load_le<std::uint64_t>(unit.data() + 16);
  if (kind == kData || kind == kError || kind == kNotice) {
    const std::size_t longest = kind == kData ? kFrameDataBytesMax : kFrameTextBytesMax;
    if (length > longest) return damaged("a frame is longer than frames can be");
    return kFrameHeaderBytes + static_cast<std::size_t>(length);
  }
  return kFrameHeaderBytes;
}

Status ExtentStreamDecoder::take_unit(std::span<const std::byte> unit) {
  return state_ == State::kHeader ? take_header(unit) : take_frame(unit);
}

Status ExtentStreamDecoder::take_header(std::span<const std::byte> unit) {
  if (std::memcmp(unit.data(), kMagic.data(), kMagic.size()) != 0) {
    return damaged("it does not begin as an image stream of this version does");
  }
  if (load_le<std::uint64_t>(unit.data() + kStreamChecksumAt) !=
      XXH3_64bits(unit.data(), kStreamChecksumAt)) {
    return damaged("its header has a wrong checksum");
  }
  info_.size_bytes = load_le<std::uint64_t>(unit.data() + 8);
  info_.lsn = cdp::Lsn{load_le<std::uint64_t>(unit.data() + 16)};
  info_.time = cdp::Nanos{load_le<std::int64_t>(unit.data() + 24)};
  const auto data_bytes = load_le<std::uint64_t>(unit.data() + 32);
  if (data_bytes != kUnknownDataBytes) info_.data_bytes = data_bytes;
  for (std::size_t i = 40; i < kStreamChecksumAt; ++i) {
    if (unit[i] != std::byte{0}) return damaged("reserved bytes of its header are not zero");
  }
  state_ = State::kFrames;
  return sink_.start(info_);
}

Status ExtentStreamDecoder::take_frame(std::span<const std::byte> unit) {
  const auto kind = static_cast<std::uint8_t>(unit[0]);
  const auto number = load_le<std::uint32_t>(unit.data() + 4);
  const auto offset = load_le<std::uint64_t>(unit.data() + 8);
  const auto length = load_le<std::uint64_t>(unit.data() + 16);
  const auto payload = unit.subspan(kFrameHeaderBytes);
  if (load_le<std::uint64_t>(unit.data() + kFrameChecksumAt) != frame_checksum(unit, payload)) {
    return damaged(fmt::format("frame {} has a wrong checksum", next_number_));
  }
  if (unit[1] != std::byte{0} || unit[2] != std::byte{0} || unit[3] != std::byte{0}) {
    return damaged("reserved bytes of a frame are not zero");
  }
  if (number != next_number_) {
    return damaged(fmt::format("frame {} came where frame {} was due", number, next_number_));
  }
  ++next_number_;

  if (kind == kData || kind == kZero) {
    if (length == 0 || offset > info_.size_bytes || length > info_.size_bytes - offset) {
      return damaged("an extent lies outside the image");
    }
    if (length > info_.size_bytes - covered_bytes_) {
      return damaged("its extents are more than the image");
    }
    covered_bytes_ += length;
    if (kind == kZero) return sink_.zero(offset, length);
    data_bytes_ += length;
    return sink_.data(offset, payload);
  }
  if (kind == kEnd) {
    if (offset != 0 || length != data_bytes_ || covered_bytes_ != info_.size_bytes) {
      return damaged("its extents do not add up to the image");
    }
    state_ = State::kEnded;
    return {};
  }
  if (kind == kError || kind == kNotice) {
    std::string sentence{reinterpret_cast<const char*>(payload.data()), payload.size()};
    if (kind == kError) return cdp::Error{EIO, std::move(sentence)};
    sink_.notice(std::move(sentence));
    return {};
  }
  return damaged(fmt::format("frame {} is of the unknown kind {}", number, kind));
}

Status ExtentStreamDecoder::finish() const {
  if (state_ == State::kEnded) return {};
  if (state_ == State::kFailed) return make_error(EPIPE, "the image stream has failed before");
  return make_error(EPIPE,
                    "the image stream from the server broke off after {} of {} bytes of the image: "
                    "see the server's log, and try again",
                    covered_bytes_, info_.size_bytes);
}

}  // namespace tools::api
