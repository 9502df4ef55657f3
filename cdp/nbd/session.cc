// SPDX-License-Identifier: Apache-2.0
#include "cdp/nbd/session.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cdp/nbd/errors.h"
#include "cdp/nbd/protocol.h"

namespace cdp::nbd {

Session::Session(Scheduler& scheduler, std::unique_ptr<Stream> stream, ExportList& exports,
                 const Limits& limits, ServerShared* shared, TlsTerms tls)
    : scheduler_(scheduler),
      channel_(std::move(stream)),
      exports_(exports),
      limits_(limits),
      shared_(shared),
      tls_(tls),
      began_(scheduler.now()),
      input_(channel_),
      flow_(scheduler, limits),
      output_(scheduler, channel_, flow_, limits),
      stall_(scheduler, channel_),
      helpers_(scheduler),
      progress_(scheduler) {
  CHECK(tls.mode == TlsMode::kOff || tls.security != nullptr);
  CHECK(limits.requests_in_flight_max > 0 && limits.bytes_in_flight_max >= kMaxPieceBytes);
}

Session::~Session() { CHECK(operations_ == 0 && flow_.requests() == 0 && flow_.bytes() == 0); }

Task<void> Session::run() {
  const bool agreed = co_await agree();
  if (agreed) {
    helpers_.spawn(output_.run());
    co_await transmit();
    co_await drain_and_end();
  }
  channel_.shutdown();
}

Task<bool> Session::agree() {
  stall_.start(limits_.handshake_ns_max);
  Result<std::optional<Agreement>> agreed =
      co_await negotiate(input_, channel_, exports_, shared_, tls_);
  stall_.stop();
  if (!agreed.ok() && !stopping_ && may_log()) {
    spdlog::warn("nbd client {}: negotiation failed: {}", peer(),
                 stall_.expired() ? fmt::format("it was not done within {} s",
                                                limits_.handshake_ns_max.value / 1'000'000'000)
                                  : agreed.error().message);
  }
  if (!agreed.ok() || !agreed->has_value() || stopping_) co_return false;
  agreement_ = std::move(**agreed);
  if (may_log()) {
    spdlog::info("nbd client {}: opened '{}'{}", peer(), printable(export_name()),
                 device()->read_only() ? " read-only" : "");
  }
  co_return true;
}

Task<void> Session::transmit() {
  transmitting_ = true;
  Nanos received = scheduler_.now();  // what is buffered
  for (bool go_on = true; go_on;) {
    if (input_.buffered().size() < kRequestBytes) {
      Status got = co_await input_.need(kRequestBytes);
      if (!got.ok()) {
        ends(std::move(got).error().message);
        co_return;
      }
      received = scheduler_.now();
    }
    Request request = decode_request(input_.buffered().data());
    request.received = received;
    // Unanswered, it is sent again by a client that connects again; an error would be its user's.
    if (stopping_) co_return;
    input_.consume(kRequestBytes);
    if (request.magic != kRequestMagic) {
      ends(fmt::format("the client sent {:#x} where a request should begin", request.magic));
      co_return;
    }
    if (request.command == Command::kDisconnect) {
      ends("the client disconnected");
      co_return;
    }
    go_on = co_await begin(request);
  }
}

Task<void> Session::drain_and_end() {
  while (operations_ != 0) co_await progress_.wait();
  output_.close();
  co_await helpers_.join();
  transmitting_ = false;
  if (!may_log()) co_return;
  const std::string reason = output_.failed() ? output_.failure() : why_ended_;
  spdlog::info("nbd client {}: closed '{}' after {} requests, {} of them failed: {}", peer(),
               printable(export_name()), requests_, failures_, reason);
}

void Session::stop() {
  if (std::exchange(stopping_, true)) return;
  if (transmitting_) {
    helpers_.spawn(stop_when_idle());
  } else {
    channel_.shutdown();
  }
}

Task<void> Session::stop_when_idle() {
  const Nanos deadline = scheduler_.now() + limits_.drain_ns_max;
  bool in_time = true;
  while (in_time && flow_.requests() > (receiving_write_ ? 1u : 0u)) {
    in_time = co_await flow_.changed().wait_until(deadline);
  }
  ends("the server ends this session");
  channel_.shutdown();
}

bool Session::ends(std::string why) {
  if (why_ended_.empty()) {
    why_ended_ = stall_.expired() ? "the client stalled within a payload" : std::move(why);
  }
  return false;
}

// --- The receive loop's part of a request.

Task<void> Session::room_for(std::uint32_t requests, std::uint64_t bytes) {
  while (!flow_.has_room(requests, bytes)) co_await flow_.changed().wait();
}

Task<bool> Session::begin(Request request) {
  if (!flow_.has_room(1, 0)) co_await room_for(1, 0);
  flow_.take(1, 0);
  ++requests_;
  const Terms terms{.size_bytes = agreement_.device->size_bytes(),
                    .read_only = agreement_.device->read_only(),
                    .structured_replies = agreement_.structured_replies,
                    .allocation_context = agreement_.allocation_context};
  std::optional<Error> error = objection(request, terms);
  if (error) co_return co_await refuse(request, std::move(*error));
  switch (request.command) {
    case Command::kRead:
      co_await begin_read(request);
      break;
    case Command::kWrite:
      co_return co_await receive_write(request);
    case Command::kBlockStatus:
      start(block_status(request));
      break;
    default:
      start(change(request));
      break;
  }
  co_return true;
}

Task<bool> Session::refuse(Request request, Error error) {
  spdlog::debug("nbd client {}: refused: {}", peer(), error.message);
  ++failures_;
  count(request, false);
  answer_error(request, error);
  if (request.command != Command::kWrite) co_return true;
  if (request.length > kSkippedPayloadBytesMax) {
    co_return ends(fmt::format("the client announced a payload of {} bytes", request.length));
  }
  co_return co_await skip_payload(request.length);
}

Task<bool> Session::skip_payload(std::uint64_t bytes) {
  while (bytes > 0) {
    const std::uint64_t step = std::min<std::uint64_t>(bytes, kMaxPieceBytes);
    stall_.start(limits_.stall_ns_max);
    Status skipped = co_await input_.skip(step);
    stall_.stop();
    if (!skipped.ok()) co_return ends(std::move(skipped).error().message);
    bytes -= step;
  }
  co_return true;
}

Task<bool> Session::receive_write(Request request) {
  if (request.length == 0) {
    answer(request, Status{});
    co_return true;
  }
  const OperationRef write = start_in_pieces(request);
  receiving_write_ = true;
  std::uint32_t not_started = write->pieces_left;
  std::uint64_t offset = request.offset;
  std::uint32_t left = request.length;
  bool arrived = true;
  while (left > 0 && arrived && !write->error) {
    const std::uint32_t bytes = piece_bytes(offset, left);
    Result<PageList> payload = co_await receive_piece(offset, bytes);
    if (!payload.ok()) {
      arrived = why_ended_.empty();
      if (!write->error) write->error = std::move(payload).error();
    } else {
      --not_started;
      start(write_piece(write, offset, bytes, std::move(*payload)));
    }
    offset += bytes;
    left -= bytes;
  }
  if (arrived) arrived = co_await skip_payload(left);
  receiving_write_ = false;
  write->pieces_left -= not_started;
  if (not_started > 0 && write->pieces_left == 0) answer(request, *write->error);
  co_return arrived;
}

// The pages of a piece with its payload, which is taken off the connection in any case. An error
// is the device's, or the connection's if why_ended_ was set.
Task<Result<PageList>> Session::receive_piece(std::uint64_t offset, std::uint32_t bytes) {
  if (!flow_.has_room(0, bytes)) co_await room_for(0, bytes);
  flow_.take(0, bytes);
  Result<PageList> pages = co_await agreement_.device->pages_for_write(offset, bytes);
  if (!pages.ok()) {
    flow_.give_back(0, bytes);
    co_await skip_payload(bytes);
    co_return pages;
  }
  vectors_.clear();
  append_vectors(vectors_, offset, bytes, *pages);
  if (input_.copy_buffered(vectors_)) co_return pages;
  stall_.start(limits_.stall_ns_max);
  Status received = co_await input_.receive(vectors_);
  stall_.stop();
  if (received.ok()) co_return pages;
  flow_.give_back(0, bytes);
  ends(received.error().message);
  co_return std::move(received).error();
}

Task<void> Session::begin_read(Request request) {
  if (request.length == 0) {
    answer(request, Status{});
    co_return;
  }
  while (run_open_) co_await progress_.wait();
  const bool may_break = agreement_.structured_replies && !request.has(kCommandFlagDf);
  if (!may_break && piece_bytes(request.offset, request.length) < request.length) {
    while (reads_running_ != 0) co_await progress_.wait();
    run_open_ = true;
    start(read_run(request));
    co_return;
  }
  const OperationRef read = start_in_pieces(request);
  std::uint32_t not_started = read->pieces_left;
  std::uint64_t offset = request.offset;
  for (std::uint32_t left = request.length; left > 0;) {
    const std::uint32_t bytes = piece_bytes(offset, left);
    if (!flow_.has_room(0, bytes)) co_await room_for(0, bytes);
    if (read->error) break;
    flow_.take(0, bytes);
    ++reads_running_;
    --not_started;
    start(read_piece(read, offset, bytes));
    offset += bytes;
    left -= bytes;
  }
  read->pieces_left -= not_started;
  if (not_started > 0 && read->pieces_left == 0) answer(request, *read->error);
}

// --- Operations.

Session::OperationRef Session::start_in_pieces(const Request& request) {
  Operation operation{.request = request,
                      .pieces_left = piece_count(request.offset, request.length),
                      .error = std::nullopt};
  return std::allocate_shared<Operation>(FrameAllocator<Operation>{}, std::move(operation));
}

void Session::start(Task<void> operation) {
  ++operations_;
  scheduler_.spawn(std::move(operation));
}

void Session::operation_ended() {
  --operations_;
  progress_.notify_all();
}

Task<void> Session::write_piece(OperationRef write, std::uint64_t offset, std::uint32_t bytes,
                                PageList pages) {
  Status done = co_await agreement_.device->write(offset, bytes, std::move(pages));
  flow_.give_back(0, bytes);
  if (!done.ok() && !write->error) write->error = std::move(done).error();
  if (--write->pieces_left == 0) {
    Status outcome = write->error ? Status{*write->error} : Status{};
    if (outcome.ok() && write->request.has(kCommandFlagFua)) {
      outcome = co_await agreement_.device->flush();
    }
    answer(write->request, outcome);
  }
  operation_ended();
}

Task<void> Session::read_piece(OperationRef read, std::uint64_t offset, std::uint32_t bytes) {
  Result<PageList> pages = co_await agreement_.device->read(offset, bytes);
  --reads_running_;  // nothing suspends between this and the output
  const bool last = --read->pieces_left == 0;
  if (pages.ok() && !read->error) {
    answer_data(read->request, offset, bytes, std::move(*pages), last);
  } else {
    flow_.give_back(0, bytes);
    if (!read->error) read->error = std::move(pages).error();
    if (last) answer(read->request, *read->error);
  }
  operation_ended();
}

// A long read whose reply must not be broken up: each piece is sent as soon as it was read, so the
// memory is bounded, at the price that an error after the first piece comes too late for the
// reply's head.
Task<void> Session::read_run(Request request) {
  std::optional<Error> error;
  std::uint64_t offset = request.offset;
  std::uint32_t left = request.length;
  while (left > 0 && !output_.failed()) {
    const std::uint32_t bytes = piece_bytes(offset, left);
    co_await room_for(0, bytes);
    flow_.take(0, bytes);
    Result<PageList> pages = co_await agreement_.device->read(offset, bytes);
    if (!pages.ok()) {
      flow_.give_back(0, bytes);
      error = std::move(pages).error();
      break;
    }
    if (left == request.length && agreement_.structured_replies) {
      output_.open_run(encode_data_chunk(0, request.cookie, request.offset, request.length));
    } else if (left == request.length) {
      output_.open_run(encode_simple_reply(request.cookie, 0));
    }
    output_.add_to_run(offset, bytes, std::move(*pages));
    offset += bytes;
    left -= bytes;
  }
  if (left == request.length) {
    answer(request, error ? *error : make_error(EIO, "the client does not take its replies"));
  } else if (error) {
    close_failed_run(request, *error, left);
  } else if (agreement_.structured_replies) {
    std::byte end[kChunkHeaderBytes];
    encode_chunk_header(end, kChunkFlagDone, kChunkNone, request.cookie, 0);
    count(request, true);
    output_.close_run(end, 1);
  } else {
    count(request, true);
    output_.close_run({}, 1);
  }
  run_open_ = false;
  operation_ended();
}

Task<void> Session::change(Request request) {
  BlockDevice& to = *agreement_.device;
  Status done;
  if (request.command == Command::kFlush) {
    done = co_await to.flush();
  } else if (request.length > 0 && request.command == Command::kWriteZeroes) {
    const ZeroOptions options{.may_deallocate = !request.has(kCommandFlagNoHole),
                              .only_if_fast = request.has(kCommandFlagFastZero)};
    done = co_await to.zero(request.offset, request.length, options);
  } else if (request.length > 0) {
    if (request.command == Command::kTrim) {
      done = co_await to.trim(request.offset, request.length);
    } else {
      done = co_await to.cache(request.offset, request.length);
    }
    // Both are hints, which a device may ignore.
    if (!done.ok() && done.error().code == ENOTSUP) done = Status{};
  }
  const bool changes =
      request.command == Command::kWriteZeroes || request.command == Command::kTrim;
  if (done.ok() && changes && request.has(kCommandFlagFua)) done = co_await to.flush();
  answer(request, done);
  operation_ended();
}

Task<void> Session::block_status(Request request) {
  const std::size_t extents_max = request.has(kCommandFlagReqOne) ? 1 : kExtentsMax;
  Result<std::vector<AllocationExtent>> extents =
      co_await agreement_.device->allocation(request.offset, request.length, extents_max);
  if (!extents.ok()) {
    answer(request, std::move(extents).error());
  } else {
    CHECK(!extents->empty() && extents->size() <= extents_max);
    const std::size_t payload_bytes = 4 + 8 * extents->size();
    std::vector<std::byte> chunk(kChunkHeaderBytes + payload_bytes);
    encode_chunk_header(chunk.data(), kChunkFlagDone, kChunkBlockStatus, request.cookie,
                        static_cast<std::uint32_t>(payload_bytes));
    std::byte* to = chunk.data() + kChunkHeaderBytes;
    store_be(to, kAllocationContextId);
    to += 4;
    for (const AllocationExtent& extent : *extents) {
      CHECK(extent.bytes > 0 && extent.bytes <= request.length);
      store_be(to, static_cast<std::uint32_t>(extent.bytes));
      store_be(to + 4, (extent.hole ? kStateHole : 0) | (extent.zero ? kStateZero : 0));
      to += 8;
    }
    count(request, true);
    output_.reply(chunk, 1);
  }
  operation_ended();
}

}  // namespace cdp::nbd
