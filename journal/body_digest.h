// SPDX-License-Identifier: Apache-2.0
//
// The digest of a frame's body (FORMAT.md, "Frame"), which links it into the chain. Pure; any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "journal/hash.h"

namespace journal {

// What it is the SHA-256 of. The values are those of a frame header's flags.
enum class BodyDigest : std::uint16_t {
  kOfBody = 0,    // as frames of format version 1 have it
  kOfLeaves = 1,  // of the SHA-256s of its leaves, which can be made side by side
};

// `frame`: all of it; its header is not looked at.
Digest body_digest(BodyDigest of, std::span<const std::byte> frame);

}  // namespace journal
