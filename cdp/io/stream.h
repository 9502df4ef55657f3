// SPDX-License-Identifier: Apache-2.0
//
// Stream: a connected byte stream (a socket; in tests, a pair of queues), for front-ends.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "cdp/base/result.h"
#include "cdp/io/task.h"

namespace cdp {

class Stream {
 public:
  virtual ~Stream() = default;
  // At least one byte into `into`, in order; 0 when the peer has ended its side. One receive at a
  // time; a send may go on beside it.
  virtual Task<Result<std::size_t>> receive(std::span<const iovec> into) = 0;
  // All of `from`, or fails. One send at a time.
  virtual Task<Status> send(std::span<const iovec> from) = 0;
  // Ends both directions at once; pending operations complete, receives with 0 or an error.
  virtual void shutdown() = 0;
  // Who is at the other end, for logs: "unix:uid=0,pid=77" or "tcp:127.0.0.1:40122".
  virtual const std::string& peer() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  // The next connection; ECANCELED after close().
  virtual Task<Result<std::unique_ptr<Stream>>> accept() = 0;
  virtual void close() = 0;
};

}  // namespace cdp
