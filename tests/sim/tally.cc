// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/tally.h"

#include <cinttypes>
#include <cstdio>
#include <map>

namespace sim {
namespace {

class Tally {
 public:
  ~Tally() {
    for (const auto& [what, count] : counts_) {
      std::printf("counted: %" PRIu64 " %s\n", count, what.c_str());
    }
  }
  void add(const std::string& what, std::uint64_t count) { counts_[what] += count; }

 private:
  std::map<std::string, std::uint64_t> counts_;
};

}  // namespace

void tally(const std::string& what, std::uint64_t count) {
  static Tally all;
  all.add(what, count);
}

}  // namespace sim
