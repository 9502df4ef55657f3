// SPDX-License-Identifier: Apache-2.0
//
// DedupTable: where recently stored blocks lie, by fingerprint, in bounded memory. What it answers
// is a hint: the caller compares bytes before it shares a block (rule 15), and what it has
// forgotten costs space, never correctness.
//
// A slot is 8 bytes: 32 bits of the fingerprint, the number of a run (26 bits) and the index of
// the block in it (6 bits). Eight slots make a bucket of one cache line; a full bucket forgets the
// block of the oldest run. Runs are numbered as they come and described in a ring, so a slot whose
// run has left the ring is forgotten too. Both arrays start small and double up to their bounds.
//
// Not thread-safe: look-ups may go side by side, an insertion alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "journal/aligned_buffer.h"
#include "journal/hash.h"
#include "journal/records.h"

namespace journal {

class DedupTable {
 public:
  // At most about `bytes` of memory; 0 keeps nothing.
  explicit DedupTable(std::size_t bytes);

  std::optional<BlockPlace> find(const Fingerprint& fingerprint) const;

  // The blocks inserted from now on lie in this run.
  void begin_run(std::uint32_t segment, std::uint32_t offset, std::uint32_t stored_bytes);
  void insert(const Fingerprint& fingerprint, std::uint16_t index);

  // Doubling takes up to some 100 ms: may be called on a worker, while nobody uses the table.
  bool wants_to_grow() const;
  void grow();
  void clear();
  std::size_t memory_bytes() const;

 private:
  struct RunPlace {
    std::uint32_t segment;
    std::uint32_t offset;
    std::uint32_t stored_bytes;
  };

  std::size_t bucket_of(const Fingerprint& fingerprint) const;
  // How many runs ago; nothing when it has left the ring.
  std::optional<std::uint64_t> age(std::uint64_t slot) const;
  std::uint64_t* slots() const { return reinterpret_cast<std::uint64_t*>(memory_.data()); }
  void allocate(unsigned bucket_bits);

  unsigned max_bucket_bits_ = 0;
  std::size_t max_runs_ = 0;
  bool enabled_;
  AlignedBuffer memory_;
  unsigned bucket_bits_ = 0;
  std::size_t used_slots_ = 0;
  std::vector<RunPlace> runs_;
  std::uint64_t run_count_ = 0;  // numbered from 1; the newest is run_count_
};

}  // namespace journal
