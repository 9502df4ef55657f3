// SPDX-License-Identifier: Apache-2.0
//
// What tests of the NBD server share: messages as a client writes them, replies as it reads them
// (both written from the specification, not with the server's own encoders), and a session over a
// MemoryDevice in a simulated world.
#pragma once

#include <gtest/gtest.h>

#include <concepts>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/endian.h"
#include "cdp/nbd/session.h"
#include "tests/sim/sim_scheduler.h"
#include "tests/unit/cdp/memory_device.h"
#include "tests/unit/cdp/memory_stream.h"

namespace cdp::test {

// Bytes in the order in which they are written; integers are big-endian.
class Out {
 public:
  Out& u16(std::uint16_t value) { return number(value); }
  Out& u32(std::uint32_t value) { return number(value); }
  Out& u64(std::uint64_t value) { return number(value); }
  Out& text(std::string_view value) {
    const auto* from = reinterpret_cast<const std::byte*>(value.data());
    bytes.insert(bytes.end(), from, from + value.size());
    return *this;
  }
  Out& add(const Bytes& value) {
    bytes.insert(bytes.end(), value.begin(), value.end());
    return *this;
  }
  Out& zeroes(std::size_t count) {
    bytes.resize(bytes.size() + count);
    return *this;
  }
  operator Bytes() const { return bytes; }
  operator std::span<const std::byte>() const { return bytes; }

  Bytes bytes;

 private:
  template <std::integral T>
  Out& number(T value) {
    bytes.resize(bytes.size() + sizeof(T));
    store_be(bytes.data() + bytes.size() - sizeof(T), value);
    return *this;
  }
};

inline Out option(std::uint32_t number, const Bytes& data) {
  return Out{}.text("IHAVEOPT").u32(number).u32(static_cast<std::uint32_t>(data.size())).add(data);
}
inline Out option_reply(std::uint32_t option, std::uint32_t type, const Bytes& data = {}) {
  return Out{}
      .u64(0x3e889045565a9)
      .u32(option)
      .u32(type)
      .u32(static_cast<std::uint32_t>(data.size()))
      .add(data);
}
// Data of INFO and GO.
inline Out info_data(std::string_view name, std::vector<std::uint16_t> wanted = {}) {
  Out out;
  out.u32(static_cast<std::uint32_t>(name.size())).text(name);
  out.u16(static_cast<std::uint16_t>(wanted.size()));
  for (std::uint16_t one : wanted) out.u16(one);
  return out;
}
// Data of LIST_ and SET_META_CONTEXT.
inline Out context_data(std::string_view name, std::vector<std::string> queries) {
  Out out;
  out.u32(static_cast<std::uint32_t>(name.size())).text(name);
  out.u32(static_cast<std::uint32_t>(queries.size()));
  for (const std::string& one : queries) out.u32(static_cast<std::uint32_t>(one.size())).text(one);
  return out;
}

enum : std::uint16_t { kRead, kWrite, kDisc, kFlush, kTrim, kCache, kZero, kStatus };
enum : std::uint16_t { kFua = 1, kNoHole = 2, kDf = 4, kReqOne = 8, kFastZero = 16 };

inline Out request(std::uint16_t type, std::uint64_t cookie, std::uint64_t offset,
                   std::uint32_t length, std::uint16_t flags = 0) {
  return Out{}.u32(0x25609513).u16(flags).u16(type).u64(cookie).u64(offset).u32(length);
}

struct Reply {
  std::uint32_t error = 0;
  std::string message;
  Bytes data;  // of a read, in place
  std::size_t data_chunks = 0;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> extents;  // bytes, flags
  bool structured = false;
  bool done = false;
};

// Reads a server's stream of replies; fails the test where it is not one.
class ReplyReader {
 public:
  // `reads`: offset and length of each read by cookie (simple replies cannot be parsed without).
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint32_t>> reads;
  std::map<std::uint64_t, Reply> replies;
  std::vector<std::uint64_t> order;  // cookies, as they were done

  void read(const Bytes& more) {
    Bytes all = std::move(rest_);
    all.insert(all.end(), more.begin(), more.end());
    left_ = all;
    while (next()) {
    }
    rest_.assign(left_.begin(), left_.end());
  }
  bool ended_between_replies() const { return rest_.empty(); }
  bool done(std::uint64_t cookie) const {
    const auto found = replies.find(cookie);
    return found != replies.end() && found->second.done;
  }

 private:
  bool next() {
    if (left_.size() < 16) return false;
    const auto magic = load_be<std::uint32_t>(left_.data());
    if (magic == 0x67446698) return next_simple();
    EXPECT_EQ(magic, 0x668e33efu);
    return magic == 0x668e33ef && next_chunk();
  }
  bool next_simple() {
    const auto error = load_be<std::uint32_t>(left_.data() + 4);
    const auto cookie = load_be<std::uint64_t>(left_.data() + 8);
    const auto read = reads.find(cookie);
    const std::size_t payload = error == 0 && read != reads.end() ? read->second.second : 0;
    if (left_.size() < 16 + payload) return false;
    Reply& reply = begin(cookie);
    reply.error = error;
    reply.data.assign(left_.begin() + 16, left_.begin() + 16 + static_cast<long>(payload));
    finish(cookie, reply, 16 + payload);
    return true;
  }
  bool next_chunk() {
    if (left_.size() < 20) return false;
    const auto flags = load_be<std::uint16_t>(left_.data() + 4);
    const auto type = load_be<std::uint16_t>(left_.data() + 6);
    const auto cookie = load_be<std::uint64_t>(left_.data() + 8);
    const auto length = load_be<std::uint32_t>(left_.data() + 16);
    if (left_.size() < 20 + length) return false;
    Reply& reply = begin(cookie);
    reply.structured = true;
    content(reply, cookie, type, left_.data() + 20, length);
    EXPECT_EQ(flags & ~1, 0);
    if ((flags & 1) != 0) {
      finish(cookie, reply, 20 + length);
    } else {
      EXPECT_NE(type, 0) << "NONE must be the last chunk";
      left_ = left_.subspan(20 + length);
    }
    return true;
  }
  void content(Reply& reply, std::uint64_t cookie, std::uint16_t type, const std::byte* payload,
               std::uint32_t length) {
    if (type == 0) {
      EXPECT_EQ(length, 0u);
    } else if (type == 1) {
      ASSERT_GE(length, 9u);
      ASSERT_TRUE(reads.contains(cookie));
      const auto [offset, bytes] = reads[cookie];
      const auto at = load_be<std::uint64_t>(payload);
      ASSERT_GE(at, offset);
      ASSERT_LE(at - offset + length - 8, bytes);
      reply.data.resize(bytes);
      std::memcpy(reply.data.data() + (at - offset), payload + 8, length - 8);
      ++reply.data_chunks;
    } else if (type == 5) {
      EXPECT_EQ(load_be<std::uint32_t>(payload), 1u);
      for (std::uint32_t at = 4; at < length; at += 8) {
        reply.extents.emplace_back(load_be<std::uint32_t>(payload + at),
                                   load_be<std::uint32_t>(payload + at + 4));
      }
    } else {
      ASSERT_EQ(type, 0x8001);
      ASSERT_GE(length, 6u);
      reply.error = load_be<std::uint32_t>(payload);
      EXPECT_NE(reply.error, 0u);
      const auto text = load_be<std::uint16_t>(payload + 4);
      ASSERT_EQ(length, 6u + text);
      reply.message.assign(reinterpret_cast<const char*>(payload + 6), text);
    }
  }
  Reply& begin(std::uint64_t cookie) {
    Reply& reply = replies[cookie];
    EXPECT_FALSE(reply.done) << "a second reply to " << cookie;
    return reply;
  }
  void finish(std::uint64_t cookie, Reply& reply, std::size_t bytes) {
    reply.done = true;
    order.push_back(cookie);
    left_ = left_.subspan(bytes);
  }

  std::span<const std::byte> left_;  // during `read`
  Bytes rest_;                       // an incomplete reply
};

// A session over one device named "disk", in virtual time.
class World {
 public:
  static constexpr std::uint64_t kDefaultSize = 4 << 20;

  explicit World(std::uint64_t seed, std::uint64_t size_bytes = kDefaultSize,
                 std::size_t pool_pages = 1 << 15)
      : scheduler(seed),
        device(std::make_shared<MemoryDevice>(scheduler, size_bytes, pool_pages)),
        connection(std::make_shared<Connection>(scheduler)) {
    exports.all.push_back({{"disk", "a test's disk"}, device});
  }
  ~World() {
    if (!session) return;
    if (!ended) connection->vanish();
    device->release();
    EXPECT_TRUE(scheduler.run_until([this] { return ended; })) << "the session does not end";
  }

  void begin() {
    session = std::make_unique<nbd::Session>(scheduler, std::make_unique<MemoryStream>(connection),
                                             exports, limits, nullptr, tls);
    scheduler.spawn(run());
    settle();
  }
  // From the greeting to transmission.
  void connect(bool structured, bool context = false) {
    begin();
    push(Out{}.u32(3));
    if (structured) push(option(8, {}));
    if (context) push(option(10, context_data("disk", {"base:allocation"})));
    push(option(7, info_data("disk")));
    settle();
    connection->take();
    connection->sends = 0;
  }

  void push(const Bytes& bytes) { connection->push(bytes); }
  // Runs all that can run without waiting for much time.
  void settle() { scheduler.run_for(milliseconds(200)); }
  // Everything the server has sent since the last call.
  Bytes take() {
    settle();
    return connection->take();
  }
  void read_replies() { replies.read(take()); }
  void read(std::uint64_t cookie, std::uint64_t offset, std::uint32_t bytes,
            std::uint16_t flags = 0) {
    replies.reads[cookie] = {offset, bytes};
    push(request(kRead, cookie, offset, bytes, flags));
  }
  // Sends a request and gives its reply.
  Reply ask(const Bytes& bytes, std::uint64_t cookie = 1) {
    push(bytes);
    read_replies();
    EXPECT_TRUE(replies.done(cookie)) << "no reply to " << cookie;
    Reply reply = replies.replies[cookie];
    replies.replies.erase(cookie);
    return reply;
  }

  sim::SimScheduler scheduler;
  nbd::Limits limits;
  nbd::TlsTerms tls;
  MemoryExports exports;
  std::shared_ptr<MemoryDevice> device;
  std::shared_ptr<Connection> connection;
  std::unique_ptr<nbd::Session> session;
  bool ended = false;
  ReplyReader replies;

 private:
  Task<void> run() {
    co_await session->run();
    ended = true;
  }
};

inline Bytes filled(std::size_t bytes, int value) {
  return Bytes(bytes, static_cast<std::byte>(value));
}
inline Bytes random_bytes(sim::Random& random, std::size_t bytes) {
  Bytes result(bytes);
  for (std::size_t at = 0; at < bytes; at += 8) {
    const std::uint64_t value = random.next();
    std::memcpy(result.data() + at, &value, std::min<std::size_t>(8, bytes - at));
  }
  return result;
}

}  // namespace cdp::test
