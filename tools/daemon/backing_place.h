// SPDX-License-Identifier: Apache-2.0
//
// Where a backing store may lie that an operator names. The daemon opens it with its own rights,
// which are not the operator's.
#pragma once

#include <string>
#include <vector>

#include "cdp/base/result.h"

namespace tools {

struct BackingPlaces {
  // Directories and devices by absolute path, as the configuration names them.
  std::vector<std::string> allowed;
  // Directories of the daemon's own: in none of them, whatever is allowed.
  std::vector<std::string> own;
};

// EPERM where `path` leads elsewhere once links and `..` are followed; EINVAL where it is not
// absolute, or leads nowhere that can be told. What it names need not exist.
cdp::Status check_backing_place(const std::string& path, const BackingPlaces& places);

}  // namespace tools
