// SPDX-License-Identifier: Apache-2.0
//
// ByteModel: what a device may hold after operations that ran side by side. Each change is known
// with the moments at which it began and, if it was answered, ended; each byte that a write brings
// is a function of the write and the place. A byte may have the value of a change that nothing has
// definitely replaced: no other change of that byte began after it had ended and itself ended
// before the question was asked (a regular register, Lamport 1986, for each byte).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sim {

class ByteModel {
 public:
  using Change = std::size_t;

  // All bytes are `base` at first; zeroes where it is empty.
  explicit ByteModel(std::vector<std::byte> base = {}) : base_(std::move(base)) {}

  // The next moment.
  std::uint64_t tick() { return ++now_; }

  Change begin_write(std::uint64_t offset, std::uint64_t bytes);
  // A write that brings the same bytes as an earlier one brought there.
  Change begin_write_again(std::uint64_t offset, std::uint64_t bytes, Change like);
  Change begin_zero(std::uint64_t offset, std::uint64_t bytes);
  // All bytes from offset 0 on become `content`: a rollback.
  Change begin_content(std::vector<std::byte> content);
  void end(Change change) { changes_[change].end = tick(); }

  // What a change brings to `offset`: the payload of a write, or a part of it.
  void fill(Change change, std::uint64_t offset, std::span<std::byte> into) const;

  // Whether a read that began at `from`, and ended now, may have found this; else what is wrong.
  std::optional<std::string> check(std::uint64_t offset, std::span<const std::byte> found,
                                   std::uint64_t from) const;

 private:
  static constexpr std::uint64_t kNever = UINT64_MAX;

  struct Known {
    std::uint64_t first = 0;
    std::uint64_t last = 0;  // behind the last byte
    bool zero = false;
    std::vector<std::byte> content = {};  // where it is not empty, the bytes themselves
    Change payload = 0;                   // the change whose bytes these are
    std::uint64_t begin = 0;
    std::uint64_t end = kNever;
  };

  Change add(Known known);
  bool replaced(std::uint64_t end_of_it, const std::vector<Change>& covering,
                std::uint64_t from) const;

  std::vector<std::byte> base_;
  std::vector<Known> changes_;
  std::uint64_t now_ = 0;
};

}  // namespace sim
