// SPDX-License-Identifier: Apache-2.0
//
// What a server needs to speak TLS: its certificate with those between it and its authority, its
// key, and the rules (cdp::new_tls_context); for NBD also how clients prove who they are. TLS 1.3
// only: every client that matters has it, and what could be negotiated away is not there.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "cdp/base/result.h"
#include "cdp/io/tls_stream.h"

namespace tools {

using cdp::TlsContext;

// For HTTP. Reads both PEM files; of the certificates the server's comes first. An error is a
// sentence that names the file: it cannot be read, does not parse, wants a passphrase, or the key
// is that of another certificate. May block.
cdp::Result<TlsContext> open_tls_context(const std::string& certificate_path,
                                         const std::string& key_path);

// Empty where there is none; the first three go together.
struct NbdTlsFiles {
  std::string certificate{};
  std::string key{};
  std::string client_authority{};  // PEM: whoever has a certificate of these for clients is known
  std::string preshared_keys{};    // as QEMU has them: lines of NAME:KEY in hexadecimal digits
  bool operator==(const NbdTlsFiles&) const = default;
};
// For NBD. Errors are as above. May block.
cdp::Result<TlsContext> open_nbd_tls_context(const NbdTlsFiles& files);

// `name` is the file's, for errors. Lines that are empty or begin with # say nothing.
cdp::Result<cdp::PresharedKeys> parse_preshared_keys(std::string_view text,
                                                     const std::string& name);

}  // namespace tools
