// SPDX-License-Identifier: Apache-2.0
//
// Secrets are typed on the terminal, and not shown there. Where standard input is no terminal, each
// is one line of it, in the order in which they are asked for.
#pragma once

#include <string>

#include "cdp/base/result.h"

namespace tools::cli {

// "Password of alice: ". An interrupt ends the program, with the terminal as it was before.
cdp::Result<std::string> ask_secret(const std::string& what);
// Twice on a terminal; refused where both differ.
cdp::Result<std::string> ask_new_secret(const std::string& what);

}  // namespace tools::cli
