// SPDX-License-Identifier: Apache-2.0
//
// Clients of a simulated device (a volume, or one at the other end of an NBD connection): they read
// and change it at random, and check each answer against a ByteModel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cdp/block_device.h"
#include "tests/sim/byte_model.h"

namespace sim {

// All bytes of a device; it must be well.
cdp::Task<std::vector<std::byte>> read_whole(cdp::BlockDevice& device);

// What clients know and found.
struct Clients {
  explicit Clients(ByteModel& of) : model(of) {}
  ByteModel& model;
  std::vector<std::string> findings;  // answers that cannot be right
  std::size_t running = 0;
  std::uint64_t flushed = 0;  // when the newest flush that was answered began
  bool errors_expected = false;
};

// Weights of what a client does, in percent; the rest is reads.
struct Mix {
  unsigned writes = 40;
  unsigned repeats = 10;  // of the client's own last write, with the same bytes
  unsigned flushes = 8;
  unsigned zeroes = 6;
  unsigned trims = 6;
  unsigned checkpoints = 2;
  unsigned allocations = 3;
  unsigned aligned = 50;  // of writes, zeroes and reads
  std::uint64_t max_blocks = 16;
  std::uint64_t hot_blocks = 12;  // half of the changes go there
};

// One client: `count` operations, one after the other. All arguments by reference outlive it.
cdp::Task<void> client(cdp::BlockDevice& device, Clients& clients, std::uint64_t seed, std::size_t count,
                       Mix mix);
// One operation each; true where it succeeded.
struct Written {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  ByteModel::Change change = 0;
};
// `written`, where it is not null, becomes what is written; `again`: it is what to write.
cdp::Task<bool> client_write(cdp::BlockDevice& device, Clients& clients, std::uint64_t offset,
                             std::uint32_t bytes, Written* written = nullptr, bool again = false);
cdp::Task<bool> client_read(cdp::BlockDevice& device, Clients& clients, std::uint64_t offset,
                            std::uint32_t bytes);
cdp::Task<bool> client_flush(cdp::BlockDevice& device, Clients& clients);
cdp::Task<bool> client_zero(cdp::BlockDevice& device, Clients& clients, std::uint64_t offset,
                            std::uint64_t bytes);
cdp::Task<bool> client_trim(cdp::BlockDevice& device, Clients& clients, std::uint64_t offset,
                            std::uint64_t bytes);

}  // namespace sim
