// SPDX-License-Identifier: Apache-2.0
//
// The command line of hindsightd.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cdp/io/socket.h"

namespace tools {

struct DaemonOptions {
  std::string vault_path = "/var/lib/hindsight-vault";
  std::string state_path = "/var/lib/hindsight";
  std::vector<cdp::SocketAddress> nbd_addresses;
  std::string control_path;                // of the control socket
  bool insecure = false;
  bool verbose = false;
  std::uint64_t dirty_bytes = 128u << 20;
  std::uint64_t hydration_bytes_per_second = 0;  // of each volume; 0: no limit
  std::uint64_t segment_bytes = 256u << 20;
  std::uint64_t dedup_bytes = 128u << 20;
};

// Fills in the defaults that depend on others and makes paths absolute; touches nothing. Ends the process for --help and --version (0) and
// for wrong usage (2, with one sentence on stderr).
DaemonOptions parse_daemon_options(int argc, char** argv);

}  // namespace tools
