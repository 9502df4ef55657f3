// SPDX-License-Identifier: Apache-2.0
//
// hindsight.toml(5), made of the list of settings that hindsightd goes by.
#pragma once

#include <string>
#include <string_view>

namespace tools::manual {

// `release` is what the foot of the page says.
std::string settings_page(std::string_view release);

}  // namespace tools::manual
