// SPDX-License-Identifier: Apache-2.0
//
// How a Session answers: simple replies, or structured ones where they were negotiated.
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstring>

#include "cdp/nbd/errors.h"
#include "cdp/nbd/protocol.h"
#include "cdp/nbd/session.h"

namespace cdp::nbd {
namespace {

// A client that provokes failures must not fill the log.
constexpr std::uint64_t kLoggedFailuresMax = 32;

// Values that the specification allows with certain requests only become I/O errors elsewhere.
std::uint32_t wire_error_for(const Request& request, const Error& error) {
  const std::uint32_t wire = wire_error(error.code);
  const bool fast_zero =
      request.command == Command::kWriteZeroes && request.has(kCommandFlagFastZero);
  if (wire == kErrorNotSupported && !fast_zero) return kErrorIo;
  if (wire == kErrorOverflow && request.command != Command::kRead) return kErrorIo;
  return wire;
}

std::vector<std::byte> error_chunk(const Request& request, const Error& error) {
  const std::string_view text = shortened(error.message, kErrorTextBytesMax);
  const std::size_t payload_bytes = 6 + text.size();
  std::vector<std::byte> chunk(kChunkHeaderBytes + payload_bytes);
  encode_chunk_header(chunk.data(), kChunkFlagDone, kChunkError, request.cookie,
                      static_cast<std::uint32_t>(payload_bytes));
  std::byte* const payload = chunk.data() + kChunkHeaderBytes;
  store_be(payload, wire_error_for(request, error));
  store_be(payload + 4, static_cast<std::uint16_t>(text.size()));
  std::memcpy(payload + 6, text.data(), text.size());
  return chunk;
}

const char* name_of(Command command) {
  switch (command) {
    case Command::kRead:
      return "read";
    case Command::kWrite:
      return "write";
    case Command::kDisconnect:
      return "disconnect";
    case Command::kFlush:
      return "flush";
    case Command::kTrim:
      return "trim";
    case Command::kCache:
      return "cache";
    case Command::kWriteZeroes:
      return "write zeroes";
    case Command::kBlockStatus:
      return "block status";
  }
  return "unknown command";
}

IoStatistics::Kind kind_of(Command command) {
  switch (command) {
    case Command::kRead:
      return IoStatistics::Kind::kRead;
    case Command::kWrite:
      return IoStatistics::Kind::kWrite;
    case Command::kFlush:
      return IoStatistics::Kind::kFlush;
    case Command::kTrim:
    case Command::kWriteZeroes:
      return IoStatistics::Kind::kDiscard;
    default:
      return IoStatistics::Kind::kOther;
  }
}

// What was moved, or said to be zeroes.
std::uint64_t bytes_of(const Request& request) {
  const IoStatistics::Kind kind = kind_of(request.command);
  const bool has_range = kind != IoStatistics::Kind::kFlush && kind != IoStatistics::Kind::kOther;
  return has_range ? request.length : 0;
}

}  // namespace

void Session::count(const Request& request, bool ok) {
  agreement_.device->io_statistics().count(kind_of(request.command), bytes_of(request),
                                           scheduler_.now() - request.received, ok);
}

void Session::answer(const Request& request, const Status& status) {
  count(request, status.ok());
  if (!status.ok()) {
    log_failure(request, status.error());
    answer_error(request, status.error());
  } else if (agreement_.structured_replies && request.command == Command::kRead) {
    std::byte chunk[kChunkHeaderBytes];
    encode_chunk_header(chunk, kChunkFlagDone, kChunkNone, request.cookie, 0);
    output_.reply(chunk, 1);
  } else {
    output_.reply(encode_simple_reply(request.cookie, 0), 1);
  }
}

void Session::answer_error(const Request& request, const Error& error) {
  if (agreement_.structured_replies) {
    output_.reply(error_chunk(request, error), 1);
  } else {
    output_.reply(encode_simple_reply(request.cookie, wire_error_for(request, error)), 1);
  }
}

void Session::answer_data(const Request& request, std::uint64_t offset, std::uint32_t bytes,
                          PageList pages, bool last) {
  if (last) count(request, true);
  if (agreement_.structured_replies) {
    const std::uint16_t flags = last ? kChunkFlagDone : 0;
    output_.reply_with_data(encode_data_chunk(flags, request.cookie, offset, bytes), offset, bytes,
                            std::move(pages), last ? 1 : 0);
  } else {
    CHECK(last && bytes == request.length);
    output_.reply_with_data(encode_simple_reply(request.cookie, 0), offset, bytes, std::move(pages),
                            1);
  }
}

// A data chunk is completed with zeroes and followed by an error chunk. A simple reply has
// promised success already: the specification wants the connection ended at once.
void Session::close_failed_run(const Request& request, const Error& error,
                               std::uint64_t unsent_bytes) {
  count(request, false);
  log_failure(request, error);
  if (agreement_.structured_replies) {
    output_.add_zeroes_to_run(unsent_bytes);
    output_.close_run(error_chunk(request, error), 1);
  } else {
    ends("a read failed after the head of its reply was sent");
    channel_.shutdown();
    output_.close_run({}, 1);
  }
}

void Session::log_failure(const Request& request, const Error& error) {
  const std::uint32_t wire = wire_error_for(request, error);
  // A device that cannot zero fast says so in the course of things.
  if (wire == kErrorNotSupported) return;
  ++failures_;
  if (failures_ > kLoggedFailuresMax) return;
  if (shared_ != nullptr && !shared_->failures_log.take()) return;
  spdlog::error("nbd client {}: {} of {} bytes at {} of '{}' answered with {}: {}{}", peer(),
                name_of(request.command), request.length, request.offset, printable(export_name()),
                wire_error_name(wire), error.message,
                failures_ == kLoggedFailuresMax ? " (further failures are only counted)" : "");
}

}  // namespace cdp::nbd
