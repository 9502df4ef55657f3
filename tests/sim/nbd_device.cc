// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/nbd_device.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sim {

using cdp::kBlockBytes;
using cdp::load_be;
using cdp::make_error;
using cdp::PageList;
using cdp::Result;
using cdp::Status;
using cdp::Task;
using cdp::test::Bytes;
using cdp::test::Out;
using cdp::test::Reply;

namespace {

constexpr std::size_t kPoolPages = 4096;
constexpr std::size_t kGreetingBytes = 18;
constexpr std::size_t kOptionReplyBytes = 20;
constexpr std::uint32_t kOptionGo = 7;
constexpr std::uint32_t kOptionStructured = 8;
constexpr std::uint32_t kOptionSetContext = 10;
constexpr std::uint32_t kReplyAck = 1;
constexpr std::uint32_t kReplyInfo = 3;
constexpr std::uint32_t kReplyIsError = 1u << 31;
constexpr std::uint32_t kErrorUnknown = kReplyIsError + 6;
constexpr std::uint16_t kInfoExport = 0;
constexpr std::uint16_t kFlagReadOnly = 2;

// The errors of the NBD specification are numbered as Linux's are.
cdp::Error refused(const Reply& reply) {
  return make_error(static_cast<int>(reply.error), "the server answered {}: {}", reply.error,
                    reply.message);
}
cdp::Error gone() { return make_error(EPIPE, "the connection has ended"); }

}  // namespace

NbdDevice::NbdDevice(SimScheduler& scheduler, std::shared_ptr<Connection> connection, Trace* trace)
    : connection_(std::move(connection)), trace_(trace), pages_(scheduler, kPoolPages) {}

Task<bool> NbdDevice::take_at_least(std::size_t bytes) {
  for (;;) {
    const Bytes more = connection_->take();
    negotiated_.insert(negotiated_.end(), more.begin(), more.end());
    if (negotiated_.size() >= bytes) co_return true;
    if (!connected()) co_return false;
    co_await connection_->sent.wait();
  }
}

Task<Status> NbdDevice::connect(std::string export_name) {
  Bytes hello = Out{}
                    .u32(3)
                    .add(cdp::test::option(kOptionStructured, {}))
                    .add(cdp::test::option(kOptionSetContext, cdp::test::context_data(
                                                                  export_name, {"base:allocation"})))
                    .add(cdp::test::option(kOptionGo, cdp::test::info_data(export_name)));
  connection_->push(hello);
  if (!co_await take_at_least(kGreetingBytes)) co_return gone();
  std::size_t at = kGreetingBytes;
  for (;;) {
    if (!co_await take_at_least(at + kOptionReplyBytes)) co_return gone();
    const auto option = load_be<std::uint32_t>(negotiated_.data() + at + 8);
    const auto type = load_be<std::uint32_t>(negotiated_.data() + at + 12);
    const auto length = load_be<std::uint32_t>(negotiated_.data() + at + 16);
    at += kOptionReplyBytes;
    if (!co_await take_at_least(at + length)) co_return gone();
    const std::byte* data = negotiated_.data() + at;
    at += length;
    if (trace_ != nullptr) trace_->add((std::uint64_t{option} << 32) + type);
    if (option != kOptionGo) continue;
    if ((type & kReplyIsError) != 0) {
      const std::string text(reinterpret_cast<const char*>(data), length);
      vanish(false);
      co_return make_error(type == kErrorUnknown ? ENOENT : EACCES, "{}", text);
    }
    if (type == kReplyInfo && load_be<std::uint16_t>(data) == kInfoExport) {
      size_bytes_ = load_be<std::uint64_t>(data + 2);
      read_only_ = (load_be<std::uint16_t>(data + 10) & kFlagReadOnly) != 0;
    }
    if (type == kReplyAck) co_return Status{};
  }
}

void NbdDevice::vanish(bool mid_request) {
  if (mid_request && connected()) {
    Bytes begun = cdp::test::request(cdp::test::kWrite, ++cookies_, 0, kBlockBytes);
    begun.resize(begun.size() / 2 + cookies_ % (begun.size() / 2));
    connection_->push(begun);
  }
  connection_->vanish();
  connection_->sent.notify_all();
}

Task<void> NbdDevice::disconnect() {
  if (!connection_->gone) connection_->push(cdp::test::request(cdp::test::kDisc, 0, 0, 0));
  while (connected()) co_await connection_->sent.wait();
  vanish(false);
}

Task<Result<Reply>> NbdDevice::ask(Bytes request, std::uint64_t cookie) {
  if (!connected()) co_return gone();
  connection_->push(request);
  for (;;) {
    replies_.read(connection_->take());
    if (replies_.done(cookie)) break;
    if (!connected()) co_return gone();
    co_await connection_->sent.wait();
  }
  Reply reply = std::move(replies_.replies.extract(cookie).mapped());
  replies_.reads.erase(cookie);
  if (trace_ != nullptr) {
    trace_->add(cookie << 8 | reply.error);
    trace_->add(reply.data);
  }
  if (reply.error != 0) co_return refused(reply);
  co_return reply;
}

Task<Status> NbdDevice::command(std::uint16_t type, std::uint64_t offset, std::uint64_t bytes,
                                std::uint16_t flags) {
  const std::uint64_t cookie = ++cookies_;
  Bytes request =
      cdp::test::request(type, cookie, offset, static_cast<std::uint32_t>(bytes), flags);
  const Result<Reply> reply = co_await ask(std::move(request), cookie);
  if (!reply.ok()) co_return reply.error();
  co_return Status{};
}

Task<Result<PageList>> NbdDevice::read(std::uint64_t offset, std::uint32_t bytes) {
  const std::uint64_t cookie = ++cookies_;
  replies_.reads[cookie] = {offset, bytes};
  Bytes request = cdp::test::request(cdp::test::kRead, cookie, offset, bytes);
  const Result<Reply> reply = co_await ask(std::move(request), cookie);
  if (!reply.ok()) co_return reply.error();
  Result<PageList> pages = co_await pages_for_write(offset, bytes);
  for (std::uint64_t at = offset; at < offset + bytes;) {
    const std::uint64_t within = at % kBlockBytes;
    const std::uint64_t part = std::min(kBlockBytes - within, offset + bytes - at);
    std::memcpy((*pages)[at / kBlockBytes - offset / kBlockBytes].data() + within,
                reply->data.data() + (at - offset), part);
    at += part;
  }
  co_return pages;
}

Task<Result<PageList>> NbdDevice::pages_for_write(std::uint64_t offset, std::uint32_t bytes) {
  const std::uint64_t blocks = cdp::blocks_for(offset + bytes) - cdp::block_of(offset);
  PageList pages = co_await pages_.acquire(blocks);
  co_return pages;
}

Task<Status> NbdDevice::write(std::uint64_t offset, std::uint32_t bytes, PageList pages) {
  const std::uint64_t cookie = ++cookies_;
  Bytes request = cdp::test::request(cdp::test::kWrite, cookie, offset, bytes);
  for (std::uint64_t at = offset; at < offset + bytes;) {
    const std::byte* page = pages[at / kBlockBytes - offset / kBlockBytes].data();
    const std::uint64_t within = at % kBlockBytes;
    const std::uint64_t part = std::min(kBlockBytes - within, offset + bytes - at);
    request.insert(request.end(), page + within, page + within + part);
    at += part;
  }
  pages.clear();
  const Result<Reply> reply = co_await ask(std::move(request), cookie);
  if (!reply.ok()) co_return reply.error();
  co_return Status{};
}

Task<Status> NbdDevice::flush() { return command(cdp::test::kFlush, 0, 0); }

Task<Status> NbdDevice::zero(std::uint64_t offset, std::uint64_t bytes, cdp::ZeroOptions options) {
  return command(cdp::test::kZero, offset, bytes, options.may_deallocate ? 0 : cdp::test::kNoHole);
}

Task<Status> NbdDevice::trim(std::uint64_t offset, std::uint64_t bytes) {
  return command(cdp::test::kTrim, offset, bytes);
}

Task<Status> NbdDevice::cache(std::uint64_t offset, std::uint64_t bytes) {
  return command(cdp::test::kCache, offset, bytes);
}

Task<Result<std::vector<cdp::AllocationExtent>>> NbdDevice::allocation(std::uint64_t offset,
                                                                       std::uint64_t bytes,
                                                                       std::size_t max_extents) {
  const std::uint64_t cookie = ++cookies_;
  Bytes request = cdp::test::request(cdp::test::kStatus, cookie, offset,
                                     static_cast<std::uint32_t>(bytes));
  const Result<Reply> reply = co_await ask(std::move(request), cookie);
  if (!reply.ok()) co_return reply.error();
  std::vector<cdp::AllocationExtent> extents;
  for (const auto& [length, flags] : reply->extents) {
    if (extents.size() == max_extents) break;
    extents.push_back({length, (flags & 1) != 0, (flags & 2) != 0});
  }
  co_return extents;
}

}  // namespace sim
