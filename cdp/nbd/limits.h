// SPDX-License-Identifier: Apache-2.0
//
// Every limit of the NBD server. What a client asks for beyond them waits, is answered with an
// error, or ends the connection; nothing is allocated on a client's word before it was compared
// with one of these.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cdp/base/types.h"
#include "cdp/nbd/protocol.h"

namespace cdp::nbd {

// What one receive asks the socket for; also the room for requests that were not parsed yet.
inline constexpr std::size_t kReceiveBytes = 128 << 10;
// What one send hands to the socket.
inline constexpr std::size_t kSendBytesMax = 4 << 20;
inline constexpr std::size_t kSendVectorsMax = 1024;  // IOV_MAX
// Data of an option that we would look at; longer data is skipped and the option refused.
inline constexpr std::uint32_t kOptionBytesMax = 64 << 10;
// Options of one negotiation.
inline constexpr unsigned kOptionsMax = 4096;
// Queries of one LIST_ or SET_META_CONTEXT.
inline constexpr std::uint32_t kMetaContextQueriesMax = 1024;
// The payload of a refused write that is read and dropped, to keep the connection; a longer one
// ends it.
inline constexpr std::uint32_t kSkippedPayloadBytesMax = 2 * kMaxPayloadBytes;
// Extents in one answer to BLOCK_STATUS; clients go on where it ends.
inline constexpr std::size_t kExtentsMax = 2048;
// The text that goes with an error to the client.
inline constexpr std::size_t kErrorTextBytesMax = 512;

struct Limits {
  std::size_t connections_max = 1024;
  // Of those, to one device, and to all read-only devices (views) together: whoever keeps
  // connections open cannot keep the clients of another volume out.
  std::size_t device_connections_max = 384;
  std::size_t read_only_connections_max = 384;
  // Per connection: requests between their parsing and the sending of their reply, ...
  std::uint32_t requests_in_flight_max = 512;
  // ... and payload bytes from their receipt until written, or from before they are read until
  // sent. At least kMaxPieceBytes.
  std::uint64_t bytes_in_flight_max = 32 << 20;
  // From the connection to the end of the negotiation; and how much of that a client has for
  // certain, however many others want its place.
  Nanos handshake_ns_max = seconds(10);
  Nanos handshake_ns_min = seconds(1);
  // For a piece (up to 1 MiB) of a payload to arrive once its request has, and for one send (up
  // to 4 MiB) to be taken by the client.
  Nanos stall_ns_max = seconds(30);
  // How long a shutdown waits for requests in flight before it ends the connection under them.
  Nanos drain_ns_max = seconds(5);
};

}  // namespace cdp::nbd
