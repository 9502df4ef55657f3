// SPDX-License-Identifier: Apache-2.0
#include "cdp/nbd/errors.h"

#include <cerrno>

#include "cdp/nbd/protocol.h"

namespace cdp::nbd {

std::uint32_t wire_error(int errno_value) {
  switch (errno_value) {
    case EPERM:
    case EACCES:
    case EROFS:
      return kErrorPermission;
    case EINVAL:
      return kErrorInvalid;
    case ENOMEM:
      return kErrorNoMemory;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return kErrorNoSpace;
    case EOVERFLOW:
      return kErrorOverflow;
    case ENOTSUP:
      return kErrorNotSupported;
    case ESHUTDOWN:
      return kErrorShutdown;
    default:
      return kErrorIo;
  }
}

std::string_view wire_error_name(std::uint32_t wire) {
  switch (wire) {
    case kErrorPermission:
      return "EPERM";
    case kErrorIo:
      return "EIO";
    case kErrorNoMemory:
      return "ENOMEM";
    case kErrorInvalid:
      return "EINVAL";
    case kErrorNoSpace:
      return "ENOSPC";
    case kErrorOverflow:
      return "EOVERFLOW";
    case kErrorNotSupported:
      return "ENOTSUP";
    case kErrorShutdown:
      return "ESHUTDOWN";
    default:
      return "an unknown error";
  }
}

std::string_view shortened(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  const auto continues = [&](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
  };
  while (end > 0 && continues(end)) --end;
  return text.substr(0, end);
}

std::string printable(std::string_view text) {
  constexpr std::size_t kBytesMax = 256;
  std::string result{shortened(text, kBytesMax)};
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  if (result.size() < text.size()) result += "...";
  return result;
}

}  // namespace cdp::nbd
