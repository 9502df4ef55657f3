// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/byte_model.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace sim {
namespace {

// Never zero, so that zeroes are told from every payload.
std::byte payload_byte(std::size_t change, std::uint64_t offset) {
  std::uint64_t z = (change + 1) * 0x9e3779b97f4a7c15u + offset * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 31)) * 0x94d049bb133111ebu;
  return static_cast<std::byte>(1 + (z >> 40) % 255);
}

}  // namespace

ByteModel::Change ByteModel::add(Known known) {
  known.begin = tick();
  changes_.push_back(std::move(known));
  return changes_.size() - 1;
}

ByteModel::Change ByteModel::begin_write(std::uint64_t offset, std::uint64_t bytes) {
  return add({.first = offset, .last = offset + bytes, .payload = changes_.size()});
}

ByteModel::Change ByteModel::begin_write_again(std::uint64_t offset, std::uint64_t bytes,
                                               Change like) {
  return add({.first = offset, .last = offset + bytes, .payload = changes_[like].payload});
}

ByteModel::Change ByteModel::begin_zero(std::uint64_t offset, std::uint64_t bytes) {
  return add({.first = offset, .last = offset + bytes, .zero = true});
}

ByteModel::Change ByteModel::begin_content(std::vector<std::byte> content) {
  const std::uint64_t bytes = content.size();
  return add({.first = 0, .last = bytes, .content = std::move(content)});
}

std::byte ByteModel::byte_of(const Known& known, std::uint64_t at) const {
  if (known.zero) return std::byte{0};
  return known.content.empty() ? payload_byte(known.payload, at) : known.content[at];
}

void ByteModel::fill(Change change, std::uint64_t offset, std::span<std::byte> into) const {
  const Change payload = changes_[change].payload;
  for (std::size_t i = 0; i < into.size(); ++i) into[i] = payload_byte(payload, offset + i);
}

// Something that ended at `end_of_it` was definitely replaced before `from`.
bool ByteModel::replaced(std::uint64_t end_of_it, const std::vector<Change>& covering,
                         std::uint64_t from) const {
  return std::any_of(covering.begin(), covering.end(), [&](Change other) {
    return changes_[other].begin > end_of_it && changes_[other].end <= from;
  });
}

std::optional<std::string> ByteModel::check(std::uint64_t offset, std::span<const std::byte> found,
                                            std::uint64_t from) const {
  const std::uint64_t end = offset + found.size();
  // Between two neighbouring bounds, the same changes cover every byte.
  std::set<std::uint64_t> bounds{offset, end};
  std::vector<Change> touching;
  for (Change c = 0; c < changes_.size(); ++c) {
    if (changes_[c].first >= end || changes_[c].last <= offset) continue;
    touching.push_back(c);
    bounds.insert(std::max(offset, changes_[c].first));
    bounds.insert(std::min(end, changes_[c].last));
  }
  for (auto bound = bounds.begin(); std::next(bound) != bounds.end(); ++bound) {
    std::vector<Change> covering;
    for (const Change c : touching) {
      if (changes_[c].first <= *bound && *bound < changes_[c].last) covering.push_back(c);
    }
    std::vector<Change> possible;
    for (const Change c : covering) {
      if (!replaced(changes_[c].end, covering, from)) possible.push_back(c);
    }
    const bool base_possible = !replaced(0, covering, from);
    for (std::uint64_t at = *bound; at < *std::next(bound); ++at) {
      const std::byte byte = found[at - offset];
      const bool good = (base_possible && byte == (at < base_.size() ? base_[at] : std::byte{0})) ||
                        std::any_of(possible.begin(), possible.end(),
                                    [&](Change c) { return byte == byte_of(changes_[c], at); });
      if (good) continue;
      return fmt::format("byte {} (block {}) is {:#x}, of none of the {} changes it may be of", at,
                         at / 4096, static_cast<unsigned>(byte), possible.size());
    }
  }
  return std::nullopt;
}

}  // namespace sim
