// SPDX-License-Identifier: Apache-2.0
//
// Random bytes from the system, for identities and secrets. A simulation puts a source of its own
// in the place of it, so that one seed is one run; nothing else may.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

namespace cdp {

// Throws std::runtime_error where the system's source cannot be read.
void fill_random(std::span<std::byte> bytes);

// While it lives, this thread's random bytes come from `source`.
class SimulatedRandomBytes {
 public:
  explicit SimulatedRandomBytes(std::function<void(std::span<std::byte>)> source);
  ~SimulatedRandomBytes();
  SimulatedRandomBytes(const SimulatedRandomBytes&) = delete;
  SimulatedRandomBytes& operator=(const SimulatedRandomBytes&) = delete;
};

}  // namespace cdp
