// SPDX-License-Identifier: Apache-2.0
//
// Runs a file system's own tool: with no input, in no directory that matters, without a capability
// or a descriptor of ours. What it says is kept as far as somebody reads it: the end.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace check {

struct ToolRun {
  int exit_code = 0;
  int signal = 0;        // that ended it; 0: none
  std::string head{};    // of what it said; plain text, as the next
  std::string output{};  // the end of it

  bool has_said(std::string_view words) const { return output.find(words) != output.npos; }
};

// Its path, where this system has it; empty where not.
std::string path_of_tool(std::string_view name);
ToolRun run_tool(const std::vector<std::string>& command);

// What `work` gives, done by a process that has no more than a tool has; it runs no other program.
// Throws what went wrong there.
std::string run_apart(const std::function<std::string()>& work);

// UTF-8 without control characters but for ends of lines, and no longer than that: the end of it.
std::string plain_tail(std::string_view bytes, std::size_t bytes_max);

}  // namespace check
