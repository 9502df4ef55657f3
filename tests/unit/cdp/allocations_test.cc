// SPDX-License-Identifier: Apache-2.0
//
// Requests of a live volume take no memory from the heap: what they need comes from pools, which
// have grown to their size after the first ones.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>

#include "cdp/io/file_disk.h"
#include "cdp/io/reactor.h"
#include "cdp/null_recorder.h"
#include "cdp/volume.h"

// A sanitizer has operators of its own, and frames of coroutines are not kept under one.
#ifndef HINDSIGHT_SANITIZED

namespace {

thread_local std::uint64_t allocations = 0;

}  // namespace

void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* const memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace cdp {
namespace {

constexpr std::uint64_t kBlocks = 4096;
constexpr int kWriters = 16;
constexpr int kRequests = 256;  // of each writer: more than the budget holds

Task<void> use(Volume& volume, std::uint64_t first) {
  for (std::uint64_t i = 0; i < kRequests; ++i) {
    const std::uint64_t offset = (first + i * kWriters) % kBlocks * kBlockBytes;
    Result<PageList> pages = co_await volume.pages_for_write(offset, kBlockBytes);
    CHECK(pages.ok());
    const Status written = co_await volume.write(offset, kBlockBytes, std::move(*pages));
    CHECK(written.ok());
    const Result<PageList> read = co_await volume.read(offset, kBlockBytes);
    CHECK(read.ok());
    if (i % 8 == 0) {
      const Status flushed = co_await volume.flush();
      CHECK(flushed.ok());
    }
  }
}

Task<std::uint64_t> allocations_of_a_round(Reactor& reactor, Volume& volume) {
  const std::uint64_t before = allocations;
  TaskGroup group(reactor);
  for (std::uint64_t writer = 0; writer < kWriters; ++writer) group.spawn(use(volume, writer));
  co_await group.join();
  const Status written_back = co_await volume.checkpoint();
  CHECK(written_back.ok());
  co_return allocations - before;
}

Task<void> measure(Reactor& reactor, std::string path, std::uint64_t& counted) {
  auto backing = value_or_throw(FileDisk::open(reactor, path, OpenMode::kReadWrite, true));
  const SystemClock clock;
  Sequencer sequencer{clock};
  NullRecorder recorder{reactor};
  PagePool write_pages{reactor, 2048};
  PagePool read_pages{reactor, 256};
  Volume volume{{reactor, sequencer, recorder, *backing, write_pages, read_pages},
                {.id = {1},
                 .name = "v",
                 .size_bytes = kBlocks * kBlockBytes,
                 .dirty_budget_bytes = 1024 * kBlockBytes}};
  for (int round = 0; round < 3; ++round) (void)co_await allocations_of_a_round(reactor, volume);
  counted = co_await allocations_of_a_round(reactor, volume);
  const Status closed = co_await volume.close();
  CHECK(closed.ok());
}

TEST(Allocations, RequestsOfAVolumeTakeNothingFromTheHeap) {
  std::string pattern = (std::filesystem::temp_directory_path() / "hindsight-XXXXXX").string();
  const std::string directory = mkdtemp(pattern.data());
  const std::string path = directory + "/disk";
  std::ofstream(path).close();
  std::filesystem::resize_file(path, kBlocks * kBlockBytes);
  std::uint64_t counted = 0;
  {
    Reactor reactor{{}};
    reactor.run(measure(reactor, path, counted));
  }
  std::filesystem::remove_all(directory);
  // A queue may still grow now and then; what a request does would be 4,096 times that.
  EXPECT_LE(counted, kWriters * kRequests / 64);
}

}  // namespace
}  // namespace cdp

#endif
