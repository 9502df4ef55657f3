// SPDX-License-Identifier: Apache-2.0
#include "cdp/nbd/request.h"

#include <cerrno>

namespace cdp::nbd {
namespace {

// Flags that the specification documents for a command; FUA goes with every command.
std::optional<std::uint16_t> flags_of(Command command, const Terms& terms) {
  switch (command) {
    case Command::kRead:
      return terms.structured_replies ? kCommandFlagFua | kCommandFlagDf : kCommandFlagFua;
    case Command::kWriteZeroes:
      return kCommandFlagFua | kCommandFlagNoHole | kCommandFlagFastZero;
    case Command::kBlockStatus:
      return kCommandFlagFua | kCommandFlagReqOne;
    case Command::kWrite:
    case Command::kDisconnect:
    case Command::kFlush:
    case Command::kTrim:
    case Command::kCache:
      return kCommandFlagFua;
  }
  return std::nullopt;
}

bool changes_data(Command command) {
  return command == Command::kWrite || command == Command::kTrim ||
         command == Command::kWriteZeroes;
}

std::optional<Error> objection_to_length(const Request& request, const Terms& terms) {
  if (request.length <= kMaxPayloadBytes) return std::nullopt;
  if (request.command == Command::kRead) {
    return make_error(terms.structured_replies ? EOVERFLOW : EINVAL,
                      "a read of {} bytes is longer than the advertised maximum of {}",
                      request.length, kMaxPayloadBytes);
  }
  if (request.command == Command::kWrite) {
    return make_error(EINVAL, "a write of {} bytes is longer than the advertised maximum of {}",
                      request.length, kMaxPayloadBytes);
  }
  return std::nullopt;
}

std::optional<Error> objection_to_range(const Request& request, const Terms& terms) {
  if (request.length <= terms.size_bytes && request.offset <= terms.size_bytes - request.length) {
    return std::nullopt;
  }
  const bool wants_space =
      request.command == Command::kWrite || request.command == Command::kWriteZeroes;
  return make_error(wants_space ? ENOSPC : EINVAL,
                    "{} bytes at offset {} end beyond the export's {} bytes", request.length,
                    request.offset, terms.size_bytes);
}

}  // namespace

std::optional<Error> objection(const Request& request, const Terms& terms) {
  const std::optional<std::uint16_t> flags = flags_of(request.command, terms);
  if (!flags) {
    return make_error(EINVAL, "command {} is unknown", static_cast<std::uint16_t>(request.command));
  }
  if ((request.flags & ~*flags) != 0) {
    return make_error(EINVAL, "flags {:#x} are not all defined for command {} on this connection",
                      request.flags, static_cast<std::uint16_t>(request.command));
  }
  if (request.command == Command::kFlush) {
    if (request.offset == 0 && request.length == 0) return std::nullopt;
    return make_error(EINVAL, "a flush must have offset and length 0");
  }
  if (request.command == Command::kBlockStatus) {
    if (!terms.allocation_context) {
      return make_error(EINVAL, "block status was asked for, but no metadata context selected");
    }
    if (request.length == 0) return make_error(EINVAL, "block status of 0 bytes was asked for");
  }
  if (terms.read_only && changes_data(request.command)) {
    return make_error(EPERM, "the export is read-only");
  }
  if (std::optional<Error> error = objection_to_length(request, terms)) return error;
  return objection_to_range(request, terms);
}

}  // namespace cdp::nbd
