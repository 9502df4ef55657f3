// SPDX-License-Identifier: Apache-2.0
//
// Every operation of the API.
#pragma once

#include <vector>

#include "tools/daemon/rest/operation.h"

namespace tools {

const std::vector<Operation>& operations();

}  // namespace tools
