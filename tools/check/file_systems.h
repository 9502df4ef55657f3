// SPDX-License-Identifier: Apache-2.0
//
// Whether a file system is sound, by its own tool. The file is a copy that is thrown away, so that
// journals are replayed in it first: a point is what a power cut would have left, and no tool takes
// that for sound which a mount would complete. Otherwise nothing is repaired.
#pragma once

#include <string>

#include "tools/check/contents.h"
#include "tools/check/fuse_file.h"

namespace check {

struct Verdict {
  std::string tool{};     // empty: there is none for it
  std::string outcome{};  // as checker_protocol.h has them
  std::string reason{};
  std::string output{};
};

// The tool that a type is checked by: its name, and Debian's package. Null where there is none.
struct Tool {
  const char* type;
  const char* name;
  const char* package;
};
const Tool* tool_of(const std::string& type);
// Why a type without a tool is not checked.
std::string why_not_checked(const std::string& type);

// Of a type that has a tool. Throws where the device went away meanwhile.
Verdict verdict_of(const Tool& tool, FuseFile& file);

}  // namespace check
