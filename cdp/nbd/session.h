// SPDX-License-Identifier: Apache-2.0
//
// Session: one NBD connection from its greeting to its end. A receive loop parses requests, judges
// each once, brings payloads into the device's pages and starts an operation per request, or per
// piece of a long one; operations run side by side and hand their replies to Output, which sends
// those of a turn together. Replies come in any order, as the specification allows.
//
// The receive loop stops while too much is in flight (Flow), so a connection's memory is bounded.
// When a client vanishes, what was started is finished, and `run` ends after it.
//
// Deadlocks by held pages cannot happen: whoever waits for pages holds none that wait for him. A
// write asks for a piece's pages only once the piece before was handed over; the data of a read is
// sent whatever else goes on, except while an unbroken long reply (a run) is open, which begins
// when all reads before it were added to the output, and which later reads wait for.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/block_device.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/io/stream.h"
#include "cdp/io/task.h"
#include "cdp/nbd/channel.h"
#include "cdp/nbd/handshake.h"
#include "cdp/nbd/input.h"
#include "cdp/nbd/limits.h"
#include "cdp/nbd/output.h"
#include "cdp/nbd/request.h"
#include "cdp/nbd/server_shared.h"

namespace cdp::nbd {

class Session {
 public:
  // All must outlive the session. Without `shared`, it is let in everywhere and logs all it does.
  Session(Scheduler& scheduler, std::unique_ptr<Stream> stream, ExportList& exports,
          const Limits& limits, ServerShared* shared = nullptr, TlsTerms tls = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Serves the connection; returns when it has ended and nothing of it is in flight.
  Task<void> run();

  // Ends the session soon: requests in flight are finished and answered, up to
  // Limits::drain_ns_max; those that come meanwhile are left unanswered.
  void stop();

  Nanos began() const { return began_; }
  // Neither has it agreed on an export yet, nor is it about to end.
  bool negotiates() const { return !transmitting_ && !stopping_ && device() == nullptr; }
  const std::string& peer() const { return channel_.peer(); }
  bool is_secure() const { return channel_.is_secure(); }
  // Null and "" until an export was agreed on.
  const BlockDevice* device() const { return agreement_.device.get(); }
  const std::string& export_name() const { return agreement_.export_name; }
  // For tests.
  const Flow& flow() const { return flow_; }
  const Output& output() const { return output_; }

 private:
  // A request that is being carried out, in one piece or in several.
  struct Operation {
    Request request;
    std::uint32_t pieces_left = 0;  // the last one to end answers
    std::optional<Error> error{};   // the first
  };
  using OperationRef = std::shared_ptr<Operation>;

  Task<bool> agree();
  Task<void> transmit();
  Task<void> drain_and_end();
  Task<void> stop_when_idle();

  // The receive loop's part of a request. False ends the connection.
  Task<bool> begin(Request request);
  Task<bool> receive_write(Request request);
  Task<Result<PageList>> receive_piece(std::uint64_t offset, std::uint32_t bytes);
  Task<bool> refuse(Request request, Error error);
  Task<bool> skip_payload(std::uint64_t bytes);
  Task<void> begin_read(Request request);
  Task<void> room_for(std::uint32_t requests, std::uint64_t bytes);

  // Operations: each ends with operation_ended().
  Task<void> write_piece(OperationRef write, std::uint64_t offset, std::uint32_t bytes,
                         PageList pages);
  Task<void> read_piece(OperationRef read, std::uint64_t offset, std::uint32_t bytes);
  Task<void> read_run(Request request);
  Task<void> change(Request request);  // flush, trim, write zeroes, cache
  Task<void> block_status(Request request);
  static OperationRef start_in_pieces(const Request& request);
  void start(Task<void> operation);
  void operation_ended();

  // Replies. `answer` logs a failure, which is the device's; `refuse` does not, which is for the
  // client's mistakes.
  void answer(const Request& request, const Status& status);
  void answer_error(const Request& request, const Error& error);
  void answer_data(const Request& request, std::uint64_t offset, std::uint32_t bytes,
                   PageList pages, bool last);
  void close_failed_run(const Request& request, const Error& error, std::uint64_t unsent_bytes);
  // In the device's statistics: a request whose last reply is about to be sent.
  void count(const Request& request, bool ok);
  void log_failure(const Request& request, const Error& error);
  bool ends(std::string why);
  bool may_log() { return shared_ == nullptr || shared_->log.take(); }

  Scheduler& scheduler_;
  Channel channel_;
  ExportList& exports_;
  const Limits& limits_;
  ServerShared* const shared_;
  const TlsTerms tls_;
  const Nanos began_;
  Input input_;
  Flow flow_;
  Output output_;
  StallTimer stall_;  // of the handshake, then of payloads
  Agreement agreement_;
  TaskGroup helpers_;  // the sender, and stop_when_idle

  Signal progress_;  // an operation has ended, or a run was closed
  std::uint32_t operations_ = 0;
  std::uint32_t reads_running_ = 0;  // not added to the output yet
  bool run_open_ = false;            // read_run is at work
  bool receiving_write_ = false;     // its request counts in the flow, but waits for the client
  bool transmitting_ = false;
  bool stopping_ = false;
  std::uint64_t requests_ = 0;
  std::uint64_t failures_ = 0;
  std::string why_ended_;
  std::vector<iovec> vectors_;
};

}  // namespace cdp::nbd
