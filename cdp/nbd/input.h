// SPDX-License-Identifier: Apache-2.0
//
// Input: the receiving half of a connection. One receive asks for up to 128 KiB, and everything in
// it is parsed before the next; of a long payload, what the buffer already has is copied and the
// rest is received straight into its pages, with the buffer behind them, so that the same receive
// brings the requests that follow.
//
// Used by one coroutine at a time. The stream must outlive it.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/pages.h"
#include "cdp/io/stream.h"
#include "cdp/io/task.h"

namespace cdp::nbd {

// Appends the memory of the bytes [offset, offset + bytes) of a device, of which `pages` are the
// blocks; neighbours in memory become one vector.
void append_vectors(std::vector<iovec>& to, std::uint64_t offset, std::uint32_t bytes,
                    const PageList& pages);

class Input {
 public:
  explicit Input(Stream& stream);

  // What was received and not consumed yet.
  std::span<const std::byte> buffered() const { return {memory_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t bytes);

  // Receives until at least `bytes` (up to kReceiveBytes) are buffered. EPIPE: the peer ended its
  // side before.
  Task<Status> need(std::size_t bytes);

  // Drops the next `bytes` of the connection, whatever their number.
  Task<Status> skip(std::uint64_t bytes);

  // Copies what is buffered to the front of `into`, and takes that off it. True when it is filled.
  bool copy_buffered(std::vector<iovec>& into);
  // Receives all of `into`. Nothing may be buffered.
  Task<Status> receive(std::vector<iovec>& into);

 private:
  Task<Result<std::size_t>> receive_more(std::span<const iovec> into);

  Stream& stream_;
  std::unique_ptr<std::byte[]> memory_;  // kReceiveBytes
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace cdp::nbd
