// SPDX-License-Identifier: Apache-2.0
//
// What happened to each volume in each second of the wall clock. Pulses (PulseRecord) are made of
// it. ActivityMeter counts it as frames become durable; RecordedActivity counts the same
// afterwards, from what the frames say in the journal.
//
// Counts are exact but for two estimates: the entropy of stored blocks, of one in some hundred, and
// the blocks that somebody may look up to tell overwritten from new ones, a sample of each second.
// Afterwards the entropy is not known. One thread; nothing here waits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "journal/built_frame.h"
#include "journal/frame_builder.h"
#include "journal/vault_reader.h"

namespace journal {

// Since 1970, rounded down.
std::int64_t second_of(Nanos time);

// Entropy of the bytes' values in 25ths of a bit per byte: 0 where all are the same, 200 where all
// values are as frequent.
std::uint8_t entropy_of(std::span<const std::byte, cdp::kBlockBytes> block);
// Of so many runs, one block of one is looked at: that takes some microseconds.
inline constexpr std::size_t kEntropyEvery = 16;

// Of one volume in one second, by the stamps of the changes.
struct VolumeActivity {
  static constexpr std::size_t kSamplesMax = 16;

  VolumeId volume{};
  std::int64_t second = 0;  // since 1970
  Lsn first_lsn{};          // of its changes
  std::uint64_t writes = 0;
  std::uint64_t written_blocks = 0;
  std::uint64_t zeroed_blocks = 0;
  std::uint64_t trimmed_blocks = 0;
  std::uint64_t stored_blocks = 0;
  std::uint64_t stored_bytes = 0;  // its share of the frames' runs
  std::uint64_t entropy_sum = 0;   // of so many blocks:
  std::uint64_t entropy_blocks = 0;
  // Some of the blocks written, each as likely as another.
  std::array<std::uint64_t, kSamplesMax> samples{};
  std::size_t sample_count = 0;
};

// The pulse of its second; without what it takes more than the changes to know.
PulseRecord pulse_of(const VolumeActivity& activity);

// What is common to both.
class ActivityCounts {
 public:
  bool empty() const { return activities_.empty(); }
  // Hands over the seconds before `before` and those after `after`, and, as the clock may have been
  // set back, all that began before one of these; by their first changes.
  std::vector<VolumeActivity> take(std::int64_t before, std::int64_t after = INT64_MAX);

  void add_zeroes(const ZeroRecord& record);
  // A write, but for what of it was stored.
  VolumeActivity& add_write(VolumeId volume, Stamp stamp, std::uint64_t first_block,
                            std::uint64_t count);

 private:
  // A uniform sample of a stream of blocks whose length is not known (Li, "Reservoir-Sampling
  // Algorithms of Time Complexity O(n(1 + log(N/n)))", Algorithm L).
  struct Reservoir {
    std::uint64_t random = 0;  // a state of xorshift64*
    double weight = 1;
    std::uint64_t next = 0;  // the number, among the second's blocks, of the one to be taken next
  };
  struct Slot {
    VolumeActivity activity{};
    Reservoir reservoir{};
  };

  Slot& slot(VolumeId volume, Stamp stamp);
  static double random_part(Reservoir& reservoir);
  static void take_samples(Slot& slot, std::uint64_t first_block, std::uint64_t count);

  std::unordered_map<std::uint64_t, Slot> activities_;  // by second and volume
  std::uint64_t last_key_ = 0;
  Slot* last_ = nullptr;  // most changes are of the volume and second of the one before
};

class ActivityMeter {
 public:
  // Of a frame that has become durable; its ops are still there.
  void add(const OpenFrame& frame, const BuiltFrame& built);
  bool empty() const { return counts_.empty(); }
  std::vector<VolumeActivity> take(std::int64_t before, std::int64_t after = INT64_MAX) {
    return counts_.take(before, after);
  }

 private:
  ActivityCounts counts_;
};

// Is shown whole frames of records.
class RecordedActivity final : public RecordVisitor {
 public:
  bool on_frame(const FrameInfo& frame) override;
  void on_write(const WriteRecord& record) override;
  void on_zero(const ZeroRecord& record) override { counts_.add_zeroes(record); }
  // All that it was shown.
  std::vector<VolumeActivity> take();

 private:
  // A write of the frame that stored something: of what, and how many blocks.
  struct Stored {
    VolumeActivity* of = nullptr;
    std::uint64_t blocks = 0;
  };
  void end_frame();

  ActivityCounts counts_;
  std::vector<Stored> stored_;
  std::uint64_t data_bytes_ = 0;  // of the frame
};

}  // namespace journal
