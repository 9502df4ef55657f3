// SPDX-License-Identifier: Apache-2.0
//
// The image of a volume at a point as a stream of bytes, for GET /api/volumes/NAME/image: extents
// of data and of zeroes, in any order, which together cover every byte of the image once. A stream
// that breaks off, loses or repeats a part, or has a bit changed is noticed: frames are numbered
// and checksummed, and the last one says how much there was. Little-endian.
//
//   stream header, 64 bytes            frame, 32 bytes, then its payload
//    0  8  "HSIMAGE1"                   0  1  kind: 1 data, 2 zero, 3 end, 4 error, 5 notice
//    8  8  size of the image, bytes     1  3  zero
//   16  8  LSN of the point             4  4  number of the frame, from 0
//   24  8  its time, ns since 1970 UTC  8  8  offset in the image, bytes (not data, zero: 0)
//   32  8  bytes of data to come, or   16  8  length, bytes (end: data bytes in all frames)
//          all ones: not known yet     24  8  XXH3-64 of bytes 0 to 23 and the payload
//   40 16  zero
//   56  8  XXH3-64 of bytes 0 to 55
//
// Payload: `length` bytes after a data frame (at most 1 MiB) and, as a sentence for the user, after
// an error or notice frame (at most 4 KiB); nothing else has one. A notice tells something to know
// about an image that is nevertheless whole. Nothing follows an end or an error.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/base/types.h"

namespace tools::api {

struct ImageInfo {
  std::uint64_t size_bytes = 0;
  cdp::Lsn lsn;
  cdp::Nanos time;
  std::optional<std::uint64_t> data_bytes;
  bool operator==(const ImageInfo&) const = default;
};

inline constexpr std::size_t kStreamHeaderBytes = 64;
inline constexpr std::size_t kFrameHeaderBytes = 32;
inline constexpr std::size_t kFrameDataBytesMax = 1u << 20;
inline constexpr std::size_t kFrameTextBytesMax = 4096;
inline constexpr std::string_view kExtentStreamMediaType = "application/vnd.hindsight.image";

using StreamHeader = std::array<std::byte, kStreamHeaderBytes>;
using FrameHeader = std::array<std::byte, kFrameHeaderBytes>;

// Call start once, then data and zero as wanted, then end or error once; send what they return, in
// that order. Payloads are sent by the caller right after their header, so that nothing is copied.
class ExtentStreamEncoder {
 public:
  StreamHeader start(const ImageInfo& info);
  // 1 to kFrameDataBytesMax bytes.
  FrameHeader data(std::uint64_t offset, std::span<const std::byte> payload);
  FrameHeader zero(std::uint64_t offset, std::uint64_t length);
  FrameHeader end();
  // The whole frame; a longer sentence is cut.
  std::vector<std::byte> error(std::string_view sentence);
  std::vector<std::byte> notice(std::string_view sentence);

 private:
  FrameHeader frame(std::uint8_t kind, std::uint64_t offset, std::uint64_t length,
                    std::span<const std::byte> payload);
  std::vector<std::byte> text_frame(std::uint8_t kind, std::string_view sentence);

  std::uint32_t next_number_ = 0;
  std::uint64_t data_bytes_ = 0;
};

// What a decoder found. A failure ends the decoding and is what `feed` returns.
class ExtentSink {
 public:
  virtual ~ExtentSink() = default;
  virtual cdp::Status start(const ImageInfo& info) = 0;
  virtual cdp::Status data(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual cdp::Status zero(std::uint64_t offset, std::uint64_t length) = 0;
  virtual void notice(std::string sentence) = 0;
};

// Takes the stream in pieces of any size. `sink` must outlive it. After a failure it stays failed.
class ExtentStreamDecoder {
 public:
  explicit ExtentStreamDecoder(ExtentSink& sink) : sink_(sink) {}

  cdp::Status feed(std::span<const std::byte> bytes);
  // To be called when no more bytes come: an error unless the stream was whole.
  cdp::Status finish() const;
  bool complete() const { return state_ == State::kEnded; }

 private:
  enum class State { kHeader, kFrames, kEnded, kFailed };

  // How many bytes the unit that begins at `unit` has, as far as it can be told; 0: not yet.
  cdp::Result<std::size_t> unit_bytes(std::span<const std::byte> unit) const;
  cdp::Status take_unit(std::span<const std::byte> unit);
  cdp::Status take_header(std::span<const std::byte> unit);
  cdp::Status take_frame(std::span<const std::byte> unit);
  cdp::Status feed_units(std::span<const std::byte> bytes);

  ExtentSink& sink_;
  State state_ = State::kHeader;
  std::vector<std::byte> partial_;  // the beginning of a unit that has not wholly arrived
  ImageInfo info_;
  std::uint32_t next_number_ = 0;
  std::uint64_t data_bytes_ = 0;
  std::uint64_t covered_bytes_ = 0;
};

}  // namespace tools::api
