// SPDX-License-Identifier: Apache-2.0
//
// What a server needs to speak HTTP over TLS: its certificate with those between it and its
// authority, its key, and the rules. TLS 1.3 only: every client that matters has it, and what could
// be negotiated away is not there. No session tickets: nothing of one connection outlives it.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>

#include "cdp/base/result.h"

namespace tools {

// May be used for many connections, by several threads.
using TlsContext = std::shared_ptr<SSL_CTX>;

// Reads both PEM files; of the certificates the server's comes first. An error is a sentence that
// names the file: it cannot be read, does not parse, wants a passphrase, or the key is that of
// another certificate. May block.
cdp::Result<TlsContext> open_tls_context(const std::string& certificate_path,
                                         const std::string& key_path);

}  // namespace tools
