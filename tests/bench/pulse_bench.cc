// SPDX-License-Identifier: Apache-2.0
//
// What activity costs: what its meter adds to a write, the look at the entropy of what is stored
// included, and how long the record of a second is. Prints a JSON line.
//
// Writes are single blocks, all of them new. Alone, each is a frame of its own, and each has a run
// to be looked at. Together, they are 256 to a frame, of one volume; of many, each is of another
// one of a thousand volumes than the one before. What is metered is taken every second.
#include <fmt/core.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <limits>
#include <random>
#include <vector>

#include "journal/activity.h"
#include "journal/record_codec.h"

namespace journal {
namespace {

constexpr std::size_t kWrites = 1u << 20;
constexpr std::size_t kWritesOfASecond = 10'000;
constexpr std::size_t kRunBlocks = 16;
constexpr std::size_t kRounds = 9;  // of which the median counts
constexpr std::size_t kLooks = 10'000;

// Of this thread: what else the machine does is not measured.
double cpu_now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

template <typename Work>
double median_ns(std::size_t times, Work work) {
  std::array<double, kRounds> each{};
  for (double& took : each) {
    const double begun = cpu_now();
    work();
    took = (cpu_now() - begun) / static_cast<double>(times);
  }
  std::nth_element(each.begin(), each.begin() + kRounds / 2, each.end());
  return each[kRounds / 2];
}

// Frames that have become durable, one after the other; the same memory each time.
class Frames {
 public:
  Frames(std::size_t writes, std::size_t volumes) : volumes_(volumes) {
    for (std::size_t i = 0; i < writes; ++i)
      frame_.ops.push_back(WriteOp{.pages = {cdp::zero_page()}});
    const std::size_t runs = (writes + kRunBlocks - 1) / kRunBlocks;
    built_.header.data_bytes = static_cast<std::uint32_t>(writes * cdp::kBlockBytes);
    built_.counts.stored = static_cast<std::uint32_t>(writes);
    built_.stored_of_writes.assign(writes, 1);
    built_.entropies.assign(runs, PulseRecord::kUnknown);
    built_.runs.resize(runs);
    for (std::size_t run = 0; run < runs; ++run)
      built_.runs[run].first_block = static_cast<std::uint32_t>(run * kRunBlocks);
  }

  void meter_all(ActivityMeter& meter) {
    std::int64_t second = 0;
    for (std::size_t done = 0; done < kWrites; done += frame_.ops.size()) {
      for (Op& op : frame_.ops) next(std::get<WriteOp>(op));
      for (std::uint8_t& entropy : built_.entropies)
        entropy = ++run_ % kEntropyEvery == 0 ? std::uint8_t{100} : PulseRecord::kUnknown;
      meter.add(frame_, built_);
      const std::int64_t now = second_of(time());
      if (second != now) (void)meter.take(now);
      second = now;
    }
  }
  // Without the meter.
  void make_all() {
    for (std::size_t done = 0; done < kWrites; done += frame_.ops.size())
      for (Op& op : frame_.ops) next(std::get<WriteOp>(op));
  }

 private:
  Nanos time() const {
    return {static_cast<std::int64_t>(write_ * (1'000'000'000 / kWritesOfASecond))};
  }
  void next(WriteOp& op) {
    ++write_;
    op.volume = VolumeId{static_cast<std::uint32_t>(1 + write_ * 7 % volumes_)};
    op.stamp = {Lsn{write_}, time()};
    op.first_block = write_ * 0x9e3779b97f4a7c15 >> 36;
  }

  const std::size_t volumes_;
  OpenFrame frame_;
  BuiltFrame built_;
  std::uint64_t write_ = 0;
  std::size_t run_ = 0;
};

double metered_ns(std::size_t writes_of_a_frame, std::size_t volumes) {
  Frames frames(writes_of_a_frame, volumes);
  ActivityMeter meter;
  const double both = median_ns(kWrites, [&] { frames.meter_all(meter); });
  return both - median_ns(kWrites, [&] { frames.make_all(); });
}

double look_ns() {
  std::mt19937_64 random(20200223);
  std::array<std::byte, 64 * cdp::kBlockBytes> blocks{};
  for (std::byte& byte : blocks) byte = static_cast<std::byte>(random());
  std::uint64_t seen = 0;
  const double took = median_ns(kLooks, [&] {
    for (std::size_t i = 0; i < kLooks; ++i) {
      const std::byte* const block = blocks.data() + i % 64 * cdp::kBlockBytes;
      seen += entropy_of(std::span<const std::byte, cdp::kBlockBytes>{block, cdp::kBlockBytes});
    }
  });
  return seen == 0 ? 0 : took;
}

std::size_t bytes_of(std::uint64_t count) {
  PulseRecord pulse{.volume = {1}, .stamp = {{1}, {1}}};
  for (auto member : {&PulseRecord::writes, &PulseRecord::flushes, &PulseRecord::written_blocks,
                      &PulseRecord::zeroed_blocks, &PulseRecord::trimmed_blocks,
                      &PulseRecord::stored_blocks, &PulseRecord::stored_bytes})
    pulse.*member = count;
  RecordEncoder encoder;
  encoder.add(bounded_pulse(pulse));
  return encoder.bytes().size();
}

void measure() {
  const double look = look_ns();
  const double of_run = look / kEntropyEvery;
  const double of_block = of_run / kRunBlocks;
  fmt::print(
      "{{\"bench\":\"pulses\",\"ns_per_write\":{{\"alone\":{:.1f},\"together\":{:.1f},"
      "\"of_many_volumes\":{:.1f}}},\"entropy_look_ns\":{:.0f},"
      "\"bytes_of_a_second\":{{\"least\":{},\"most\":{}}}}}\n",
      metered_ns(1, 1) + of_run, metered_ns(256, 1) + of_block, metered_ns(256, 1000) + of_block,
      look, bytes_of(0), bytes_of(std::numeric_limits<std::uint64_t>::max()));
}

}  // namespace
}  // namespace journal

int main() {
  journal::measure();
  return 0;
}
