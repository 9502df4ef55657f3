// SPDX-License-Identifier: Apache-2.0
//
// The OpenAPI document of the API, from the descriptions that requests are parsed by.
#pragma once

#include <boost/json/object.hpp>
#include <vector>

#include "tools/daemon/rest/operation.h"

namespace tools {

boost::json::object openapi_document(const std::vector<Operation>& operations,
                                     std::string_view version);

}  // namespace tools
