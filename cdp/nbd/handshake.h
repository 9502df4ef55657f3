// SPDX-License-Identifier: Apache-2.0
//
// The fixed newstyle negotiation: from the greeting to the agreement on an export, or to the end
// of a connection that does not come to one. Every option of the specification is answered: those
// that we do not have (extended headers) as unsupported.
//
// NBD_OPT_STARTTLS begins anew: nothing that was agreed on in clear holds behind it, and the
// exports are those of the client whose name was proved then. Where TLS is required, every other
// option but NBD_OPT_ABORT is answered NBD_REP_ERR_TLS_REQD before it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cdp/base/result.h"
#include "cdp/block_device.h"
#include "cdp/io/task.h"
#include "cdp/nbd/channel.h"
#include "cdp/nbd/input.h"
#include "cdp/nbd/server_shared.h"

namespace cdp::nbd {

// What the two sides agreed on.
struct Agreement {
  std::string export_name;
  std::shared_ptr<BlockDevice> device;
  Admissions::Place place;  // at the device
  bool structured_replies = false;
  bool allocation_context = false;
};

// Nothing: the client left in an orderly way (NBD_OPT_ABORT, or the end of its stream between two
// options). An Error: why the connection must be closed. All arguments must outlive the call.
// `input` receives from `channel`. Without `shared`, every device has room for this connection.
Task<Result<std::optional<Agreement>>> negotiate(Input& input, Channel& channel,
                                                 ExportList& exports,
                                                 ServerShared* shared = nullptr, TlsTerms tls = {});

// Transmission flags of an export.
std::uint16_t transmission_flags(const BlockDevice& device, bool structured_replies);

}  // namespace cdp::nbd
