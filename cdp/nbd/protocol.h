// SPDX-License-Identifier: Apache-2.0
//
// The NBD protocol's numbers and fixed-size messages, as doc/proto.md of the NetworkBlockDevice
// project defines them (fixed newstyle; everything is big-endian). No state and no I/O here. Names
// follow the specification: NBD_OPT_GO is kOptGo, NBD_CMD_FLAG_FUA is kCommandFlagFua.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "cdp/base/endian.h"
#include "cdp/base/types.h"

namespace cdp::nbd {

// Handshake.
inline constexpr std::uint64_t kInitMagic = 0x4e42444d41474943;    // "NBDMAGIC"
inline constexpr std::uint64_t kOptionMagic = 0x49484156454f5054;  // "IHAVEOPT"
inline constexpr std::uint64_t kOptionReplyMagic = 0x3e889045565a9;

inline constexpr std::uint16_t kFlagFixedNewstyle = 1 << 0;
inline constexpr std::uint16_t kFlagNoZeroes = 1 << 1;
inline constexpr std::uint32_t kClientFlagFixedNewstyle = 1 << 0;
inline constexpr std::uint32_t kClientFlagNoZeroes = 1 << 1;

inline constexpr std::uint32_t kOptExportName = 1;
inline constexpr std::uint32_t kOptAbort = 2;
inline constexpr std::uint32_t kOptList = 3;
inline constexpr std::uint32_t kOptStartTls = 5;
inline constexpr std::uint32_t kOptInfo = 6;
inline constexpr std::uint32_t kOptGo = 7;
inline constexpr std::uint32_t kOptStructuredReply = 8;
inline constexpr std::uint32_t kOptListMetaContext = 9;
inline constexpr std::uint32_t kOptSetMetaContext = 10;

inline constexpr std::uint32_t kReplyAck = 1;
inline constexpr std::uint32_t kReplyServer = 2;
inline constexpr std::uint32_t kReplyInfo = 3;
inline constexpr std::uint32_t kReplyMetaContext = 4;
inline constexpr std::uint32_t kReplyErrorUnsupported = (1u << 31) + 1;
inline constexpr std::uint32_t kReplyErrorPolicy = (1u << 31) + 2;
inline constexpr std::uint32_t kReplyErrorInvalid = (1u << 31) + 3;
inline constexpr std::uint32_t kReplyErrorTlsRequired = (1u << 31) + 5;
inline constexpr std::uint32_t kReplyErrorUnknown = (1u << 31) + 6;
inline constexpr std::uint32_t kReplyErrorTooBig = (1u << 31) + 9;

inline constexpr std::uint16_t kInfoExport = 0;
inline constexpr std::uint16_t kInfoName = 1;
inline constexpr std::uint16_t kInfoDescription = 2;
inline constexpr std::uint16_t kInfoBlockSize = 3;

inline constexpr std::uint16_t kTransmissionHasFlags = 1 << 0;
inline constexpr std::uint16_t kTransmissionReadOnly = 1 << 1;
inline constexpr std::uint16_t kTransmissionSendFlush = 1 << 2;
inline constexpr std::uint16_t kTransmissionSendFua = 1 << 3;
inline constexpr std::uint16_t kTransmissionSendTrim = 1 << 5;
inline constexpr std::uint16_t kTransmissionSendWriteZeroes = 1 << 6;
inline constexpr std::uint16_t kTransmissionSendDf = 1 << 7;
inline constexpr std::uint16_t kTransmissionCanMultiConn = 1 << 8;
inline constexpr std::uint16_t kTransmissionSendCache = 1 << 10;
inline constexpr std::uint16_t kTransmissionSendFastZero = 1 << 11;

inline constexpr std::size_t kMaxStringBytes = 4096;  // names and messages
inline constexpr std::size_t kOptionHeaderBytes = 16;
inline constexpr std::size_t kExportNamePaddingBytes = 124;

// The size constraints that we advertise; they are the specification's defaults.
inline constexpr std::uint32_t kMinimumBlockBytes = 1;
inline constexpr std::uint32_t kPreferredBlockBytes = 4096;
inline constexpr std::uint32_t kMaxPayloadBytes = 32u << 20;

// Transmission.
inline constexpr std::uint32_t kRequestMagic = 0x25609513;
inline constexpr std::uint32_t kSimpleReplyMagic = 0x67446698;
inline constexpr std::uint32_t kStructuredReplyMagic = 0x668e33ef;

enum class Command : std::uint16_t {
  kRead = 0,
  kWrite = 1,
  kDisconnect = 2,
  kFlush = 3,
  kTrim = 4,
  kCache = 5,
  kWriteZeroes = 6,
  kBlockStatus = 7,
};

inline constexpr std::uint16_t kCommandFlagFua = 1 << 0;
inline constexpr std::uint16_t kCommandFlagNoHole = 1 << 1;
inline constexpr std::uint16_t kCommandFlagDf = 1 << 2;
inline constexpr std::uint16_t kCommandFlagReqOne = 1 << 3;
inline constexpr std::uint16_t kCommandFlagFastZero = 1 << 4;

inline constexpr std::uint16_t kChunkFlagDone = 1 << 0;
inline constexpr std::uint16_t kChunkNone = 0;
inline constexpr std::uint16_t kChunkOffsetData = 1;
inline constexpr std::uint16_t kChunkBlockStatus = 5;
inline constexpr std::uint16_t kChunkError = (1 << 15) + 1;

inline constexpr std::uint32_t kStateHole = 1 << 0;
inline constexpr std::uint32_t kStateZero = 1 << 1;
inline constexpr char kAllocationContextName[] = "base:allocation";
inline constexpr std::uint32_t kAllocationContextId = 1;

// Values of error fields; they are the specification's own, whatever the system's errno are.
inline constexpr std::uint32_t kErrorPermission = 1;
inline constexpr std::uint32_t kErrorIo = 5;
inline constexpr std::uint32_t kErrorNoMemory = 12;
inline constexpr std::uint32_t kErrorInvalid = 22;
inline constexpr std::uint32_t kErrorNoSpace = 28;
inline constexpr std::uint32_t kErrorOverflow = 75;
inline constexpr std::uint32_t kErrorNotSupported = 95;
inline constexpr std::uint32_t kErrorShutdown = 108;

struct Request {
  std::uint32_t magic = kRequestMagic;
  std::uint16_t flags = 0;
  Command command = Command::kRead;
  std::uint64_t cookie = 0;  // the client's; answered as it came
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  Nanos received{};  // by us; not on the wire

  bool has(std::uint16_t flag) const { return (flags & flag) != 0; }
};
inline constexpr std::size_t kRequestBytes = 28;

inline Request decode_request(const std::byte* from) {
  return Request{.magic = load_be<std::uint32_t>(from),
                 .flags = load_be<std::uint16_t>(from + 4),
                 .command = static_cast<Command>(load_be<std::uint16_t>(from + 6)),
                 .cookie = load_be<std::uint64_t>(from + 8),
                 .offset = load_be<std::uint64_t>(from + 16),
                 .length = load_be<std::uint32_t>(from + 24)};
}

inline std::array<std::byte, kRequestBytes> encode_request(const Request& request) {
  std::array<std::byte, kRequestBytes> to;
  store_be(to.data(), request.magic);
  store_be(to.data() + 4, request.flags);
  store_be(to.data() + 6, static_cast<std::uint16_t>(request.command));
  store_be(to.data() + 8, request.cookie);
  store_be(to.data() + 16, request.offset);
  store_be(to.data() + 24, request.length);
  return to;
}

inline constexpr std::size_t kSimpleReplyBytes = 16;

inline std::array<std::byte, kSimpleReplyBytes> encode_simple_reply(std::uint64_t cookie,
                                                                    std::uint32_t error) {
  std::array<std::byte, kSimpleReplyBytes> to;
  store_be(to.data(), kSimpleReplyMagic);
  store_be(to.data() + 4, error);
  store_be(to.data() + 8, cookie);
  return to;
}

inline constexpr std::size_t kChunkHeaderBytes = 20;

// `payload_bytes`: what follows the header.
inline void encode_chunk_header(std::byte* to, std::uint16_t flags, std::uint16_t type,
                                std::uint64_t cookie, std::uint32_t payload_bytes) {
  store_be(to, kStructuredReplyMagic);
  store_be(to + 4, flags);
  store_be(to + 6, type);
  store_be(to + 8, cookie);
  store_be(to + 16, payload_bytes);
}

// A content chunk's header and offset; `bytes` of data follow.
inline std::array<std::byte, kChunkHeaderBytes + 8> encode_data_chunk(std::uint16_t flags,
                                                                      std::uint64_t cookie,
                                                                      std::uint64_t offset,
                                                                      std::uint32_t bytes) {
  std::array<std::byte, kChunkHeaderBytes + 8> to;
  encode_chunk_header(to.data(), flags, kChunkOffsetData, cookie, bytes + 8);
  store_be(to.data() + kChunkHeaderBytes, offset);
  return to;
}

}  // namespace cdp::nbd
