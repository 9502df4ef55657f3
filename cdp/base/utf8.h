// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace cdp {

// Well-formed, without overlong forms, surrogates or values over U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace cdp
