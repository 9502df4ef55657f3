// SPDX-License-Identifier: Apache-2.0
#include "journal/activity.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace journal {
namespace {

constexpr std::int64_t kNanosOfSecond = 1'000'000'000;

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

ActivityMeter::Slot& ActivityMeter::slot(VolumeId volume, Stamp stamp) {
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
double ActivityMeter::random_part(Reservoir& reservoir) {
  reservoir.random ^= reservoir.random >> 12;
  reservoir.random ^= reservoir.random << 25;
  reservoir.random ^= reservoir.random >> 27;
  const std::uint64_t bits = (reservoir.random * 0x2545f4914f6cdd1d) >> 11;
  return (static_cast<double>(bits) + 0.5) / 9007199254740992.0;  // 2^53
}

void ActivityMeter::take_samples(Slot& slot, std::uint64_t first_block, std::uint64_t count) {
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

void ActivityMeter::add(const OpenFrame& frame, const BuiltFrame& built) {
  std::size_t write = 0;
  std::size_t run = 0;
  std::uint64_t stored = 0;  // of the frame's new blocks, those of the writes before
  std::uint64_t given = 0;   // of the bytes of its runs
  const std::uint64_t all_stored = std::max<std::uint64_t>(built.counts.stored, 1);
  for (const Op& op : frame.ops) {
    if (const auto* zero = std::get_if<ZeroRecord>(&op)) {
      VolumeActivity& of = slot(zero->volume, zero->stamp).activity;
      (zero->kind == ZeroKind::kTrim ? of.trimmed_blocks : of.zeroed_blocks) += zero->block_count;
      continue;
    }
    const auto* changed = std::get_if<WriteOp>(&op);
    if (changed == nullptr) continue;
    Slot& at = slot(changed->volume, changed->stamp);
    VolumeActivity& of = at.activity;
    take_samples(at, changed->first_block, changed->pages.size());
    ++of.writes;
    of.written_blocks += changed->pages.size();
    const std::uint32_t stored_here = built.stored_of_writes[write++];
    if (stored_here == 0) continue;
    stored += stored_here;
    of.stored_blocks += stored_here;
    // So that the shares are the whole.
    const std::uint64_t upto = built.header.data_bytes * stored / all_stored;
    of.stored_bytes += upto - given;
    given = upto;
    for (; run < built.runs.size() && built.runs[run].first_block < stored; ++run) {
      if (built.entropies[run] == PulseRecord::kUnknown) continue;
      of.entropy_sum += built.entropies[run];
      ++of.entropy_blocks;
    }
  }
}

std::vector<VolumeActivity> ActivityMeter::take(std::int64_t second) {
  std::vector<VolumeActivity> taken;
  for (auto at = activities_.begin(); at != activities_.end();) {
    if (at->second.activity.second >= second) {
      ++at;
      continue;
    }
    taken.push_back(at->second.activity);
    at = activities_.erase(at);
  }
  if (!taken.empty()) last_ = nullptr;
  std::sort(taken.begin(), taken.end(), [](const VolumeActivity& a, const VolumeActivity& b) {
    return std::tie(a.volume, a.second) < std::tie(b.volume, b.second);
  });
  return taken;
}

}  // namespace journal
