// SPDX-License-Identifier: Apache-2.0
#include "cdp/base/random_bytes.h"

#include <sys/random.h>

#include <stdexcept>
#include <utility>

#include "cdp/base/check.h"

namespace cdp {
namespace {

thread_local std::function<void(std::span<std::byte>)> simulated_source;

}  // namespace

void fill_random(std::span<std::byte> bytes) {
  if (simulated_source) return simulated_source(bytes);
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw std::runtime_error("the system's random source cannot be read");
  }
}

SimulatedRandomBytes::SimulatedRandomBytes(std::function<void(std::span<std::byte>)> source) {
  CHECK(!simulated_source);
  simulated_source = std::move(source);
}

SimulatedRandomBytes::~SimulatedRandomBytes() { simulated_source = nullptr; }

}  // namespace cdp
