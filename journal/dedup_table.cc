// SPDX-License-Identifier: Apache-2.0
#include "journal/dedup_table.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace journal {
namespace {

constexpr std::size_t kSlots = 8;  // in a bucket
constexpr std::size_t kBucketBytes = kSlots * sizeof(std::uint64_t);
// The tag begins with the bits that a doubling adds to a bucket's number, so that it can be done
// from the slots alone.
constexpr unsigned kMinBucketBits = 8;
constexpr unsigned kMaxBucketBits = 24;
constexpr unsigned kIndexBits = 6;
constexpr unsigned kRunBits = 26;
constexpr unsigned kTagShift = kIndexBits + kRunBits;
constexpr std::uint64_t kRunMask = (std::uint64_t{1} << kRunBits) - 1;
constexpr std::size_t kMinRuns = 1024;
constexpr std::size_t kMaxRuns = std::size_t{1} << (kRunBits - 1);

std::uint64_t tag_of(const Fingerprint& fingerprint) {
  return (fingerprint.low >> kMinBucketBits) & 0xFFFFFFFF;
}

}  // namespace

DedupTable::DedupTable(std::size_t bytes) : enabled_(bytes != 0) {
  // Three quarters for slots, the rest for the ring, each rounded down to a power of two.
  while (max_bucket_bits_ < kMaxBucketBits &&
         (kBucketBytes << (max_bucket_bits_ + 1)) <= bytes / 4 * 3)
    ++max_bucket_bits_;
  max_bucket_bits_ = std::max(max_bucket_bits_, kMinBucketBits);
  max_runs_ = kMinRuns;
  while (max_runs_ < kMaxRuns && max_runs_ * 2 * sizeof(RunPlace) <= bytes / 4) max_runs_ *= 2;
  clear();
}

void DedupTable::clear() {
  used_slots_ = 0;
  run_count_ = 0;
  runs_.clear();
  runs_.shrink_to_fit();
  memory_.release();
  if (!enabled_) return;
  runs_.resize(kMinRuns);
  allocate(kMinBucketBits);
}

void DedupTable::allocate(unsigned bucket_bits) {
  bucket_bits_ = bucket_bits;
  const auto bytes = memory_.reserve(kBucketBytes << bucket_bits);
  std::memset(bytes.data(), 0, bytes.size());
}

std::size_t DedupTable::memory_bytes() const {
  return memory_.capacity() + runs_.capacity() * sizeof(RunPlace);
}

std::size_t DedupTable::bucket_of(const Fingerprint& fingerprint) const {
  return fingerprint.low & ((std::uint64_t{1} << bucket_bits_) - 1);
}

std::optional<std::uint64_t> DedupTable::age(std::uint64_t slot) const {
  const std::uint64_t age = (run_count_ - (slot >> kIndexBits)) & kRunMask;
  if (age >= std::min<std::uint64_t>(runs_.size(), run_count_)) return std::nullopt;
  return age;
}

std::optional<BlockPlace> DedupTable::find(const Fingerprint& fingerprint) const {
  if (!enabled_) return std::nullopt;
  const std::uint64_t* const bucket = slots() + bucket_of(fingerprint) * kSlots;
  const std::uint64_t tag = tag_of(fingerprint);
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (bucket[i] == 0 || bucket[i] >> kTagShift != tag) continue;
    const std::optional<std::uint64_t> runs_ago = age(bucket[i]);
    if (!runs_ago.has_value()) continue;
    const RunPlace& run = runs_[(run_count_ - *runs_ago) % runs_.size()];
    return BlockPlace{.segment = run.segment,
                      .run_offset = run.offset,
                      .run_bytes = run.stored_bytes,
                      .index = static_cast<std::uint16_t>(bucket[i] & ((1u << kIndexBits) - 1))};
  }
  return std::nullopt;
}

void DedupTable::begin_run(std::uint32_t segment, std::uint32_t offset,
                           std::uint32_t stored_bytes) {
  if (!enabled_) return;
  ++run_count_;
  // Growing keeps the places of runs as long as the ring has never wrapped.
  if (run_count_ >= runs_.size() && runs_.size() < max_runs_) runs_.resize(runs_.size() * 2);
  runs_[run_count_ % runs_.size()] = {segment, offset, stored_bytes};
}

void DedupTable::insert(const Fingerprint& fingerprint, std::uint16_t index) {
  if (!enabled_) return;
  CHECK(run_count_ > 0 && index < (1u << kIndexBits));
  std::uint64_t* const bucket = slots() + bucket_of(fingerprint) * kSlots;
  const std::uint64_t tag = tag_of(fingerprint);
  std::size_t victim = 0;
  std::uint64_t victim_age = 0;
  for (std::size_t i = 0; i < kSlots; ++i) {
    const bool empty = bucket[i] == 0;
    const std::uint64_t slot_age = empty ? UINT64_MAX : age(bucket[i]).value_or(UINT64_MAX - 1);
    if (!empty && bucket[i] >> kTagShift == tag) {
      victim = i;
      break;
    }
    if (slot_age >= victim_age) {
      victim = i;
      victim_age = slot_age;
    }
  }
  if (bucket[victim] == 0) ++used_slots_;
  bucket[victim] = (tag << kTagShift) | ((run_count_ & kRunMask) << kIndexBits) | index;
}

bool DedupTable::wants_to_grow() const {
  return enabled_ && bucket_bits_ < max_bucket_bits_ &&
         used_slots_ > (kSlots << bucket_bits_) / 10 * 7;
}

void DedupTable::grow() {
  CHECK(enabled_ && bucket_bits_ < max_bucket_bits_);
  const AlignedBuffer old = std::exchange(memory_, AlignedBuffer());
  const auto* const from = reinterpret_cast<const std::uint64_t*>(old.data());
  const unsigned old_bits = bucket_bits_;
  allocate(old_bits + 1);
  used_slots_ = 0;
  const unsigned new_bit = kTagShift + (old_bits - kMinBucketBits);
  for (std::size_t bucket = 0; bucket < (std::size_t{1} << old_bits); ++bucket) {
    std::size_t filled[2] = {0, 0};
    for (std::size_t i = 0; i < kSlots; ++i) {
      const std::uint64_t slot = from[bucket * kSlots + i];
      if (slot == 0) continue;
      const std::size_t half = (slot >> new_bit) & 1;
      slots()[((half << old_bits) + bucket) * kSlots + filled[half]++] = slot;
      ++used_slots_;
    }
  }
}

}  // namespace journal
