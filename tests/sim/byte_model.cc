// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/byte_model.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <set>

namespace sim {
namespace {

constexpr std::uint64_t kPiece = 4096;  // bytes that are compared at a time

// Eight bytes of a payload, none of them zero, so that zeroes are told from every payload.
std::uint64_t payload_word(std::size_t change, std::uint64_t word) {
  std::uint64_t z = (change + 1) * 0x9e3779b97f4a7c15u + word * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 31)) * 0x94d049bb133111ebu;
  return (z ^ (z >> 29)) | 0x0101010101010101u;
}

void fill_payload(std::size_t change, std::uint64_t at, std::span<std::byte> into) {
  while (!into.empty()) {
    const std::uint64_t word = payload_word(change, at / sizeof(word));
    const std::size_t within = at % sizeof(word);
    const std::size_t part = std::min(sizeof(word) - within, into.size());
    std::memcpy(into.data(), reinterpret_cast<const std::byte*>(&word) + within, part);
    at += part;
    into = into.subspan(part);
  }
}

// The bytes of `content` from `at` on; zeroes behind its end.
void fill_content(const std::vector<std::byte>& content, std::uint64_t at,
                  std::span<std::byte> into) {
  const std::uint64_t from = std::min<std::uint64_t>(at, content.size());
  const std::size_t part = std::min<std::size_t>(content.size() - from, into.size());
  std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(from), part, into.begin());
  std::fill(into.begin() + static_cast<std::ptrdiff_t>(part), into.end(), std::byte{0});
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

void ByteModel::fill(Change change, std::uint64_t offset, std::span<std::byte> into) const {
  const Known& known = changes_[change];
  if (known.zero) {
    std::fill(into.begin(), into.end(), std::byte{0});
  } else if (known.content.empty()) {
    fill_payload(known.payload, offset, into);
  } else {
    fill_content(known.content, offset, into);
  }
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
    for (std::uint64_t at = *bound; at < *std::next(bound);) {
      const std::size_t bytes = std::min(kPiece, *std::next(bound) - at);
      const std::span<const std::byte> piece = found.subspan(at - offset, bytes);
      std::vector<bool> good(bytes);
      std::vector<std::byte> expected(bytes);
      const auto compare = [&] {
        if (std::memcmp(piece.data(), expected.data(), bytes) == 0) return true;
        for (std::size_t i = 0; i < bytes; ++i) good[i] = good[i] || piece[i] == expected[i];
        return false;
      };
      // Most pieces are of the newest change.
      bool whole = false;
      for (auto c = possible.rbegin(); c != possible.rend() && !whole; ++c) {
        fill(*c, at, expected);
        whole = compare();
      }
      if (!whole && base_possible) {
        fill_content(base_, at, expected);
        whole = compare();
      }
      const auto bad = whole ? good.end() : std::find(good.begin(), good.end(), false);
      if (bad != good.end()) {
        const auto i = static_cast<std::size_t>(bad - good.begin());
        return fmt::format("byte {} (block {}) is {:#x}, of none of the {} changes it may be of",
                           at + i, (at + i) / 4096, static_cast<unsigned>(piece[i]),
                           possible.size());
      }
      at += bytes;
    }
  }
  return std::nullopt;
}

}  // namespace sim
