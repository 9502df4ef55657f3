// SPDX-License-Identifier: Apache-2.0
//
// What bash completes behind `hindsight` and `hindsightd`: verbs, options, and files where an
// option takes one. It asks no daemon.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace tools::manual {

// What a value of this type name can be: "file", "directory", beginnings of addresses such as
// "unix:,tcp:", or "any", of which nothing is known.
std::string completed_as(std::string_view type_name);

// A script to be sourced.
std::string bash_completion(const std::vector<const CLI::App*>& programs);

}  // namespace tools::manual
