// SPDX-License-Identifier: Apache-2.0
//
// Every input of every target's corpus, and every one that ever found a defect, once more; in all
// builds, also those without libFuzzer.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/fuzz.h"

namespace fuzz {

std::vector<NamedTarget>& targets() {
  static std::vector<NamedTarget> all;
  return all;
}

namespace {

namespace fs = std::filesystem;

class FuzzCorpus : public testing::TestWithParam<NamedTarget> {};
INSTANTIATE_TEST_SUITE_P(Targets, FuzzCorpus, testing::ValuesIn(targets()),
                         [](const auto& of) { return std::string(of.param.name); });

std::size_t replay(Target target, const fs::path& directory) {
  std::size_t inputs = 0;
  if (!fs::exists(directory)) return inputs;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(file)), {});
    // Of exactly its size on the heap, so that AddressSanitizer sees what reads beyond it.
    const Bytes input(reinterpret_cast<const std::byte*>(content.data()),
                      reinterpret_cast<const std::byte*>(content.data()) + content.size());
    target(input);
    ++inputs;
  }
  return inputs;
}

TEST_P(FuzzCorpus, HasNoInputThatCrashes) {
  const fs::path root = HINDSIGHT_SOURCE_DIR "/tests/fuzz";
  GetParam().run({});
  EXPECT_GT(replay(GetParam().run, root / "corpus" / GetParam().name), 0u) << "it has no corpus";
  replay(GetParam().run, root / "regressions" / GetParam().name);
}

}  // namespace
}  // namespace fuzz
