// SPDX-License-Identifier: Apache-2.0
//
// SimFile: the content of one simulated file or device, in two versions: what a read sees, and what
// is on the medium. A completed write is visible; it is durable once a sync that was issued after
// its completion has completed, or at once when it was a durable write. A crash keeps what is
// durable and, by chance, keeps, drops or tears (per 512-byte sector) each of the other changes,
// those in flight included. All blocks are zeroes at first, and sparse: size costs nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "cdp/base/types.h"
#include "tests/sim/random.h"

namespace sim {

inline constexpr std::uint64_t kSectorBytes = 512;

// A sparse array of bytes; what was never stored is zero.
class SimImage {
 public:
  void store(std::uint64_t offset, std::span<const std::byte> from);
  void zero(std::uint64_t offset, std::uint64_t bytes);
  void load(std::uint64_t offset, std::span<std::byte> into) const;

 private:
  using Block = std::array<std::byte, cdp::kBlockBytes>;
  std::map<std::uint64_t, Block> blocks_;
};

// A write (with data) or a zeroing (without).
struct SimChange {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::vector<std::byte> data;
  bool durable = false;
  bool lost = false;           // a sync that covered it failed: no later one makes it durable
  std::uint64_t sequence = 0;  // in order of completion

  bool overlaps(std::uint64_t other_offset, std::uint64_t other_bytes) const {
    return offset < other_offset + other_bytes && other_offset < offset + bytes;
  }
};

class SimFile {
 public:
  explicit SimFile(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}

  std::uint64_t size_bytes() const { return size_bytes_; }
  bool sealed() const { return sealed_; }

  using InFlight = std::list<SimChange>::iterator;
  InFlight begin_change(SimChange change);
  void complete(InFlight change, bool durable);
  // A change that never was.
  void lose(InFlight change) { in_flight_.erase(change); }
  // A failed change leaves anything in its range. What it left is no less likely to become durable
  // than what succeeded: files are opened with O_DIRECT, so a read sees what the device has, and a
  // later sync empties the device's cache.
  void fail(InFlight change, Random& random);

  // What a read finds; where a write is in flight, sector by sector the old or the new content.
  void read(std::uint64_t offset, std::span<std::byte> into, Random& random) const;
  // True when a change in flight touches the range.
  bool busy(std::uint64_t offset, std::uint64_t bytes) const;

  std::uint64_t completed() const { return completed_; }
  // A sync that was issued when completed() was `upto` has completed, or failed.
  void sync(std::uint64_t upto);
  void fail_sync(std::uint64_t upto);
  void cut_and_seal(std::uint64_t bytes);

  // What is there after a crash now.
  std::shared_ptr<SimFile> after_crash(Random& random) const;
  // What is certain to be there after a crash.
  std::vector<std::byte> durable_content(std::uint64_t offset, std::uint64_t bytes) const;
  std::vector<std::byte> content(std::uint64_t offset, std::uint64_t bytes) const;
  void store_durably(std::uint64_t offset, std::span<const std::byte> bytes);
  void set_size(std::uint64_t bytes) { size_bytes_ = bytes; }
  // Durable at once; what is cut is gone.
  void resize(std::uint64_t bytes);

 private:
  void fold();

  std::uint64_t size_bytes_;
  bool sealed_ = false;
  SimImage visible_;
  SimImage durable_;              // before `changes_`
  std::list<SimChange> changes_;  // completed, in order; the first is not durable
  std::list<SimChange> in_flight_;
  std::uint64_t completed_ = 0;
};

}  // namespace sim
