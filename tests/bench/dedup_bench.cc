// SPDX-License-Identifier: Apache-2.0
//
// What the index of hooks costs: memory for each TiB of stored blocks, and time of a look-up and of
// an insertion. Prints a JSON line for each size.
//
//   dedup_bench [--tib N]...
//
// The fingerprints are random and the frames full, as where nothing is a duplicate.
#include <fmt/core.h>
#include <time.h>

#include <cstdlib>
#include <random>
#include <string_view>
#include <vector>

#include "journal/hook_index.h"

namespace journal {
namespace {

constexpr std::uint64_t kBlocksOfTib = std::uint64_t{1} << 28;
constexpr std::uint64_t kHooks = 64;  // one block in so many
constexpr std::uint64_t kFrameBlocks = 1024;
constexpr std::uint64_t kFramesOfSegment = 63;
constexpr std::size_t kLookups = 1'000'000;

// Of this thread: what else the machine does is not measured.
double cpu_now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

void measure(double tib) {
  const auto hooks = static_cast<std::uint64_t>(tib * static_cast<double>(kBlocksOfTib / kHooks));
  HookIndex index(std::size_t{1} << 40);  // as much as it wants
  std::mt19937_64 random(1);
  std::vector<Fingerprint> known;
  known.reserve(hooks);
  for (std::uint64_t i = 0; i < hooks; ++i) known.push_back({random(), random() & ~(kHooks - 1)});
  double begun = cpu_now();
  for (std::uint64_t i = 0; i < hooks; ++i) {
    const std::uint64_t frame = i * kHooks / kFrameBlocks;
    index.insert(known[i], {.segment = static_cast<std::uint32_t>(frame / kFramesOfSegment + 1),
                            .offset = static_cast<std::uint32_t>(frame % kFramesOfSegment << 22)});
  }
  const double insert_ns = (cpu_now() - begun) / static_cast<double>(hooks);
  std::size_t found = 0;
  begun = cpu_now();
  for (std::size_t i = 0; i < kLookups; ++i)
    found += index.find(known[random() % hooks]).has_value() ? 1 : 0;
  const double find_ns = (cpu_now() - begun) / static_cast<double>(kLookups);
  std::size_t mistaken = 0;
  begun = cpu_now();
  for (std::size_t i = 0; i < kLookups; ++i)
    mistaken += index.find({random(), random() & ~(kHooks - 1)}).has_value() ? 1 : 0;
  const double miss_ns = (cpu_now() - begun) / static_cast<double>(kLookups);
  const auto mib = static_cast<double>(index.memory_bytes()) / (1 << 20);
  fmt::print(
      "{{\"bench\": \"hook_index\", \"tib\": {}, \"hooks\": {}, \"mib\": {:.1f}, "
      "\"mib_per_tib\": {:.1f}, \"insert_ns\": {:.0f}, \"find_ns\": {:.0f}, \"miss_ns\": {:.0f}, "
      "\"found\": {:.5f}, \"mistaken\": {:.5f}}}\n",
      tib, index.size(), mib, mib / tib, insert_ns, find_ns, miss_ns,
      static_cast<double>(found) / kLookups, static_cast<double>(mistaken) / kLookups);
}

}  // namespace
}  // namespace journal

int main(int argc, char** argv) {
  std::vector<double> sizes;
  for (int i = 1; i + 1 < argc; i += 2)
    if (std::string_view(argv[i]) == "--tib") sizes.push_back(std::atof(argv[i + 1]));
  if (sizes.empty()) sizes = {0.25, 0.5, 1, 2};
  for (const double tib : sizes) journal::measure(tib);
}
