// SPDX-License-Identifier: Apache-2.0
#include "cdp/nbd/input.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cdp/nbd/limits.h"

namespace cdp::nbd {
namespace {

// Takes `bytes` off the front of `vectors`.
void advance(std::vector<iovec>& vectors, std::size_t bytes) {
  std::size_t whole = 0;
  while (whole < vectors.size() && bytes >= vectors[whole].iov_len) {
    bytes -= vectors[whole].iov_len;
    ++whole;
  }
  vectors.erase(vectors.begin(), vectors.begin() + static_cast<std::ptrdiff_t>(whole));
  if (bytes > 0) {
    CHECK(!vectors.empty());
    vectors.front().iov_base = static_cast<std::byte*>(vectors.front().iov_base) + bytes;
    vectors.front().iov_len -= bytes;
  }
}

}  // namespace

void append_vectors(std::vector<iovec>& to, std::uint64_t offset, std::uint32_t bytes,
                    const PageList& pages) {
  std::size_t within = offset % kBlockBytes;
  for (const PageRef& page : pages) {
    if (bytes == 0) return;
    const std::size_t length = std::min<std::size_t>(bytes, kBlockBytes - within);
    std::byte* const start = page.data() + within;
    if (!to.empty() && static_cast<std::byte*>(to.back().iov_base) + to.back().iov_len == start) {
      to.back().iov_len += length;
    } else {
      to.push_back({start, length});
    }
    bytes -= static_cast<std::uint32_t>(length);
    within = 0;
  }
  CHECK(bytes == 0);
}

Input::Input(Stream& stream)
    : stream_(stream), memory_(std::make_unique_for_overwrite<std::byte[]>(kReceiveBytes)) {}

void Input::consume(std::size_t bytes) {
  CHECK(bytes <= end_ - begin_);
  begin_ += bytes;
  if (begin_ == end_) begin_ = end_ = 0;
}

Task<Result<std::size_t>> Input::receive_more(std::span<const iovec> into) {
  Result<std::size_t> got = co_await stream_.receive(into);
  if (got.ok() && *got == 0) co_return make_error(EPIPE, "the client ended the connection");
  co_return got;
}

Task<Status> Input::need(std::size_t bytes) {
  CHECK(bytes <= kReceiveBytes);
  if (end_ - begin_ < bytes && begin_ > 0) {
    std::memmove(memory_.get(), memory_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  while (end_ - begin_ < bytes) {
    const iovec room{memory_.get() + end_, kReceiveBytes - end_};
    Result<std::size_t> got = co_await receive_more({&room, 1});
    if (!got.ok()) co_return std::move(got).error();
    end_ += *got;
  }
  co_return Status{};
}

Task<Status> Input::skip(std::uint64_t bytes) {
  while (bytes > 0) {
    if (buffered().empty()) {
      Status more = co_await need(1);
      if (!more.ok()) co_return more;
    }
    const std::size_t step = std::min<std::uint64_t>(bytes, buffered().size());
    consume(step);
    bytes -= step;
  }
  co_return Status{};
}

bool Input::copy_buffered(std::vector<iovec>& into) {
  std::size_t copied = 0;
  for (const iovec& to : into) {
    const std::size_t step = std::min(to.iov_len, end_ - begin_ - copied);
    std::memcpy(to.iov_base, memory_.get() + begin_ + copied, step);
    copied += step;
    if (step < to.iov_len) break;
  }
  consume(copied);
  advance(into, copied);
  return into.empty();
}

Task<Status> Input::receive(std::vector<iovec>& into) {
  CHECK(buffered().empty());
  while (!into.empty()) {
    std::size_t wanted = 0;
    for (const iovec& part : into) wanted += part.iov_len;
    into.push_back({memory_.get(), kReceiveBytes});
    const std::span<const iovec> vectors{into.data(), into.size()};
    Result<std::size_t> got = co_await receive_more(vectors);
    into.pop_back();
    if (!got.ok()) co_return std::move(got).error();
    if (*got > wanted) end_ = *got - wanted;
    advance(into, std::min(*got, wanted));
  }
  co_return Status{};
}

}  // namespace cdp::nbd
