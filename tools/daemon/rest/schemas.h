// SPDX-License-Identifier: Apache-2.0
//
// The JSON documents that the API answers, described for the OpenAPI document. They are made by
// tools/api/documents.h and by the routes; a test holds what is answered to what is told here.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

namespace tools {

// By name, each a JSON Schema: "Volume", "Problem", ...
boost::json::object answer_schemas();
// How one of them is referred to in the OpenAPI document.
boost::json::object schema_reference(std::string_view name);

}  // namespace tools
