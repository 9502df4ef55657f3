// SPDX-License-Identifier: Apache-2.0
//
// NbdDevice: a device at the other end of a simulated connection: a client that speaks NBD's bytes
// (written from the specification, with tests/unit/cdp/nbd_wire.h), many requests in flight, and
// that may vanish in the middle of one. So what simulated clients do to it goes the whole way
// through the server.
//
// Every reply goes into the trace, if there is one. It must outlive the operations on it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cdp/block_device.h"
#include "tests/sim/sim_scheduler.h"
#include "tests/sim/trace.h"
#include "tests/unit/cdp/nbd_wire.h"

namespace sim {

class NbdDevice final : public cdp::BlockDevice {
 public:
  using Connection = cdp::test::Connection;

  NbdDevice(SimScheduler& scheduler, std::shared_ptr<Connection> connection, Trace* trace);

  // Negotiates the export. ENOENT, EACCES with the server's sentence where it refuses, EPIPE where
  // it hangs up.
  cdp::Task<cdp::Status> connect(std::string export_name);
  // Gone, whatever is in flight; half of a request goes before where `mid_request` says so.
  void vanish(bool mid_request);
  // Says goodbye and waits for the server to hang up.
  cdp::Task<void> disconnect();
  bool connected() const { return !connection_->gone && !connection_->shut_down; }

  std::uint64_t size_bytes() const override { return size_bytes_; }
  bool read_only() const override { return read_only_; }
  cdp::Task<cdp::Result<cdp::PageList>> read(std::uint64_t offset, std::uint32_t bytes) override;
  cdp::Task<cdp::Result<cdp::PageList>> pages_for_write(std::uint64_t offset,
                                                        std::uint32_t bytes) override;
  cdp::Task<cdp::Status> write(std::uint64_t offset, std::uint32_t bytes,
                               cdp::PageList pages) override;
  cdp::Task<cdp::Status> flush() override;
  cdp::Task<cdp::Status> zero(std::uint64_t offset, std::uint64_t bytes,
                              cdp::ZeroOptions options) override;
  cdp::Task<cdp::Status> trim(std::uint64_t offset, std::uint64_t bytes) override;
  cdp::Task<cdp::Status> cache(std::uint64_t offset, std::uint64_t bytes) override;
  cdp::Task<cdp::Result<std::vector<cdp::AllocationExtent>>> allocation(
      std::uint64_t offset, std::uint64_t bytes, std::size_t max_extents) override;

 private:
  // Sends a request and waits for its reply, or for the end of the connection (EPIPE).
  cdp::Task<cdp::Result<cdp::test::Reply>> ask(cdp::test::Bytes request, std::uint64_t cookie);
  cdp::Task<cdp::Status> command(std::uint16_t type, std::uint64_t offset, std::uint64_t bytes,
                                 std::uint16_t flags = 0);
  cdp::Task<bool> take_at_least(std::size_t bytes);

  const std::shared_ptr<Connection> connection_;
  Trace* const trace_;
  cdp::PagePool pages_;
  cdp::test::ReplyReader replies_;
  cdp::test::Bytes negotiated_;  // from the server, until transmission
  std::uint64_t size_bytes_ = 0;
  bool read_only_ = false;
  std::uint64_t cookies_ = 0;
};

}  // namespace sim
