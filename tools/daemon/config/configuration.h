// SPDX-License-Identifier: Apache-2.0
//
// Configuration: what hindsightd was told to be, by its file, its environment and its options
// (settings.h says what each means), with the defaults of what nobody named.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cdp/base/types.h"
#include "tools/daemon/tls/tls_context.h"

namespace tools {

struct Configuration {
  std::string vault = "/var/lib/hindsight-vault";
  std::string state = "/var/lib/hindsight";
  // Directories and devices: what an operator names for the daemon to open lies in one of them.
  std::vector<std::string> allowed_paths = {"/"};
  bool insecure = false;                // NBD and HTTP in clear beyond loopback
  std::vector<std::string> nbd_listen;  // empty: unix:STATE/nbd.sock
  std::string control_listen;           // empty: unix:STATE/control.sock
  std::string http_listen;              // HOST:PORT; empty: nowhere
  std::string tls_certificate;          // PEM files; empty: those in STATE/tls, where they are
  std::string tls_key;
  std::string tls_client_ca;
  std::string nbd_tls;                   // "off", "require"; empty: where clients can be known
  std::string nbd_psk_file;              // empty: none
  std::vector<std::string> nbd_clients;  // as ClientRights takes them
  std::string metrics_listen;            // empty: nowhere but in the API
  bool metrics_insecure = false;
  std::string alerts_webhook;  // a URL; empty: nobody is told
  std::string alerts_rpo = "5s";
  std::uint64_t dirty_budget_bytes = 128u << 20;
  std::uint64_t dedup_bytes = 128u << 20;
  std::uint64_t segment_bytes = 256u << 20;
  std::uint64_t hydration_bytes_per_second = 0;            // of each volume; 0: no limit
  std::string check_socket = "/run/hindsight/check.sock";  // empty: no point is checked
  std::string check_time_limit = "30m";
  bool verbose = false;
  std::string log_format = "text";  // or json

  bool operator==(const Configuration&) const = default;

  // Where to serve: what was not named lies in the state directory. As socket addresses are
  // written.
  std::vector<std::string> nbd_listeners() const;
  std::string control_listener() const;
  std::string http_listener() const;  // empty: nowhere
  // Where they are looked for. Whether there are any is what the file system says: somebody has
  // named them, or one of the two is there.
  std::string certificate_path() const;
  std::string key_path() const;
  bool has_certificate() const;
  std::string client_ca_path() const;
  // What NBD has for TLS: nothing where clients could not prove who they are.
  NbdTlsFiles nbd_tls_files() const;
  // Whether it is offered on unix sockets; and required everywhere else.
  bool nbd_has_tls() const;
  bool nbd_requires_tls() const;
  // Of what is kept as it was written.
  cdp::Nanos rpo_objective() const;  // 0: none
  cdp::Nanos check_time() const;
};

// What is wrong between settings that are each possible, and with the certificate that they name,
// a sentence each. May ask the resolver, and reads the certificate.
std::vector<std::string> contradictions(const Configuration& configuration);

}  // namespace tools
