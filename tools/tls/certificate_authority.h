// SPDX-License-Identifier: Apache-2.0
//
// The private CA of an appliance, in a directory of its own:
//
//   ca.crt  ca.key               signs what follows; made once, never overwritten
//   server.crt  server.key       the daemon's, for HTTPS and NBD
//   clients/NAME/                ca-cert.pem, client-cert.pem, client-key.pem: a host's, by the
//                                names that QEMU and libnbd look for (tls-certificates)
//
// Keys have mode 0600, certificates 0644; all belong to the directory's owner, the daemon's user. A
// failure leaves what was there before. Blocking; programs that work on one directory at the same
// time wait for each other. Needs no daemon.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cdp/base/result.h"

namespace tools::tls {

inline constexpr char kDefaultDirectory[] = "/var/lib/hindsight/tls";
inline constexpr int kDefaultDays = 825;  // of what the CA signs
inline constexpr int kDaysMax = 3650;     // the CA's own

struct Issued {
  std::string directory;              // where its files are
  std::vector<std::string> names;     // subject alternative names, of a server
  std::int64_t not_after = 0;         // seconds since 1970
  std::string fingerprint;            // SHA-256 of the certificate
  std::string authority_fingerprint;  // of ca.crt
  bool made_authority = false;
};

struct ServerRequest {
  std::string directory;  // made where it is missing; the one above must be there
  // Host names and IP addresses that clients connect to. None: those of the certificate that there
  // is. The names of this host and of loopback are always among them.
  std::vector<std::string> names{};
  int days = kDefaultDays;
};
// Makes the CA where there is none, and the server's certificate, on the key that there is. A
// certificate ends with its CA at the latest.
cdp::Result<Issued> issue_server(const ServerRequest& request);

struct ClientRequest {
  std::string directory;
  std::string name;  // 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit
  int days = kDefaultDays;
  bool replace = false;
};
// EEXIST where the client has one, unless it is to be replaced. ENOENT without a CA.
cdp::Result<Issued> issue_client(const ClientRequest& request);

}  // namespace tools::tls
