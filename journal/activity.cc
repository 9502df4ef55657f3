// SPDX-License-Identifier: Apache-2.0
#include "journal/activity.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace journal {
namespace {

constexpr std::int64_t kNanosOfSecond = 1'000'000'000;

// Deals the bytes of a frame's runs to its writes, by the blocks that they stored, so that the
// shares are the whole.
class Shares {
 public:
  Shares(std::uint64_t bytes, std::uint64_t blocks)
      : bytes_(bytes), blocks_(std::max<std::uint64_t>(blocks, 1)) {}
  std::uint64_t next(std::uint64_t blocks) {
    dealt_blocks_ += blocks;
    const std::uint64_t upto = bytes_ * dealt_blocks_ / blocks_;
    return upto - std::exchange(dealt_, upto);
  }

 private:
  const std::uint64_t bytes_;
  const std::uint64_t blocks_;
  std::uint64_t dealt_blocks_ = 0;
  std::uint64_t dealt_ = 0;
};

// count * log2(count), for the counts that a block can have.
const std::array<float, cdp::kBlockBytes + 1>& count_logs() {
  static const auto table = [] {
    std::array<float, cdp::kBlockBytes + 1> made{};
    for (std::size_t i = 2; i < made.size(); ++i)
      made[i] = static_cast<float>(static_cast<double>(i) * std::log2(static_cast<double>(i)));
    return made;
  }();
  return table;
}

}  // namespace

std::int64_t second_of(Nanos time) {
  const std::int64_t seconds = time.value / kNanosOfSecond;
  return time.value % kNanosOfSecond < 0 ? seconds - 1 : seconds;
}

std::uint8_t entropy_of(std::span<const std::byte, cdp::kBlockBytes> block) {
  // Several histograms: equal bytes in a row would wait for each other.
  std::array<std::array<std::uint16_t, 256>, 4> counts{};
  for (std::size_t i = 0; i < block.size(); i += 4) {
    for (std::size_t j = 0; j < 4; ++j) ++counts[j][static_cast<std::uint8_t>(block[i + j])];
  }
  const auto& logs = count_logs();
  double sum = 0;
  for (std::size_t i = 0; i < 256; ++i)
    sum += logs[std::size_t{counts[0][i]} + counts[1][i] + counts[2][i] + counts[3][i]];
  const double bits = std::log2(static_cast<double>(cdp::kBlockBytes)) - sum / cdp::kBlockBytes;
  return static_cast<std::uint8_t>(
      std::clamp(std::lround(bits * 25), 0L, static_cast<long>(PulseRecord::kEntropyMax)));
}

PulseRecord pulse_of(const VolumeActivity& activity) {
  PulseRecord pulse{.volume = activity.volume, .begin = activity.second};
  pulse.writes = activity.writes;
  pulse.written_blocks = activity.written_blocks;
  pulse.zeroed_blocks = activity.zeroed_blocks;
  pulse.trimmed_blocks = activity.trimmed_blocks;
  pulse.stored_blocks = activity.stored_blocks;
  pulse.stored_bytes = activity.stored_bytes;
  if (activity.entropy_blocks > 0)
    pulse.entropy = static_cast<std::uint8_t>(activity.entropy_sum / activity.entropy_blocks);
  return pulse;
}

ActivityCounts::Slot& ActivityCounts::slot(VolumeId volume, Stamp stamp) {
  const std::int64_t second = second_of(stamp.time);
  const std::uint64_t key = static_cast<std::uint64_t>(second) << 32 | volume.value;
  if (last_ != nullptr && key == last_key_) return *last_;
  Slot& found = activities_[key];
  if (found.activity.volume != volume) {
    found.activity.volume = volume;
    found.activity.second = second;
    found.activity.first_lsn = stamp.lsn;
    found.reservoir.random = key * 0x9e3779b97f4a7c15 | 1;
  }
  last_key_ = key;
  last_ = &found;
  return found;
}

// In (0, 1).
double ActivityCounts::random_part(Reservoir& reservoir) {
  reservoir.random ^= reservoir.random >> 12;
  reservoir.random ^= reservoir.random << 25;
  reservoir.random ^= reservoir.random >> 27;
  // One bit less than a double has, so that the largest one and a half is not rounded up.
  const std::uint64_t bits = (reservoir.random * 0x2545f4914f6cdd1d) >> 12;
  return (static_cast<double>(bits) + 0.5) / 4503599627370496.0;  // 2^52
}

void ActivityCounts::take_samples(Slot& slot, std::uint64_t first_block, std::uint64_t count) {
  VolumeActivity& of = slot.activity;
  Reservoir& reservoir = slot.reservoir;
  const std::uint64_t before = of.written_blocks;
  while (reservoir.next < before + count) {
    const std::uint64_t block = first_block + (reservoir.next - before);
    if (of.sample_count < VolumeActivity::kSamplesMax) {
      of.samples[of.sample_count++] = block;
      ++reservoir.next;
      if (of.sample_count < VolumeActivity::kSamplesMax) continue;
    } else {
      const double place = random_part(reservoir) * VolumeActivity::kSamplesMax;
      of.samples[static_cast<std::size_t>(place)] = block;
      ++reservoir.next;
    }
    reservoir.weight *=
        std::exp(std::log(random_part(reservoir)) / double{VolumeActivity::kSamplesMax});
    const double skipped = std::log(random_part(reservoir)) / std::log1p(-reservoir.weight);
    reservoir.next += static_cast<std::uint64_t>(std::min(skipped, 1e15));
  }
}

void ActivityCounts::add_zeroes(const ZeroRecord& record) {
  VolumeActivity& of = slot(record.volume, record.stamp).activity;
  (record.kind == ZeroKind::kTrim ? of.trimmed_blocks : of.zeroed_blocks) += record.block_count;
}

VolumeActivity& ActivityCounts::add_write(VolumeId volume, Stamp stamp, std::uint64_t first_block,
                                          std::uint64_t count) {
  Slot& at = slot(volume, stamp);
  take_samples(at, first_block, count);
  ++at.activity.writes;
  at.activity.written_blocks += count;
  return at.activity;
}

std::vector<VolumeActivity> ActivityCounts::take(std::int64_t before, std::int64_t after) {
  Lsn newest{};
  for (const auto& [key, slot] : activities_) {
    if (slot.activity.second < before || slot.activity.second > after)
      newest = std::max(newest, slot.activity.first_lsn);
  }
  std::vector<VolumeActivity> taken;
  std::erase_if(activities_, [&](const auto& of) {
    const VolumeActivity& activity = of.second.activity;
    const bool is_wanted = activity.first_lsn <= newest;
    if (is_wanted) taken.push_back(activity);
    return is_wanted;
  });
  if (!taken.empty()) last_ = nullptr;
  std::sort(taken.begin(), taken.end(), [](const VolumeActivity& a, const VolumeActivity& b) {
    return a.first_lsn < b.first_lsn;
  });
  return taken;
}

void ActivityMeter::add(const OpenFrame& frame, const BuiltFrame& built) {
  std::size_t write = 0;
  std::size_t run = 0;
  std::uint64_t stored = 0;  // of the frame's new blocks, those of the writes before
  Shares shares(built.header.data_bytes, built.counts.stored);
  for (const Op& op : frame.ops) {
    if (const auto* zero = std::get_if<ZeroRecord>(&op)) {
      counts_.add_zeroes(*zero);
      continue;
    }
    const auto* changed = std::get_if<WriteOp>(&op);
    if (changed == nullptr) continue;
    VolumeActivity& of = counts_.add_write(changed->volume, changed->stamp, changed->first_block,
                                           changed->pages.size());
    const std::uint32_t stored_here = built.stored_of_writes[write++];
    if (stored_here == 0) continue;
    stored += stored_here;
    of.stored_blocks += stored_here;
    of.stored_bytes += shares.next(stored_here);
    for (; run < built.runs.size() && built.runs[run].first_block < stored; ++run) {
      if (built.entropies[run] == PulseRecord::kUnknown) continue;
      of.entropy_sum += built.entropies[run];
      ++of.entropy_blocks;
    }
  }
}

bool RecordedActivity::on_frame(const FrameInfo& frame) {
  end_frame();
  data_bytes_ = frame.data_bytes;
  return true;
}

void RecordedActivity::on_write(const WriteRecord& record) {
  VolumeActivity& of =
      counts_.add_write(record.volume, record.stamp, record.first_block, record.block_count);
  std::uint64_t stored = 0;
  for (const WritePiece& piece : record.pieces)
    if (piece.kind == PieceKind::kNew) stored += piece.count;
  if (stored > 0) stored_.push_back({.of = &of, .blocks = stored});
}

void RecordedActivity::end_frame() {
  std::uint64_t blocks = 0;
  for (const Stored& stored : stored_) blocks += stored.blocks;
  Shares shares(data_bytes_, blocks);
  for (const Stored& stored : stored_) {
    stored.of->stored_blocks += stored.blocks;
    stored.of->stored_bytes += shares.next(stored.blocks);
  }
  stored_.clear();
}

std::vector<VolumeActivity> RecordedActivity::take() {
  end_frame();
  return counts_.take(INT64_MAX);
}

}  // namespace journal
