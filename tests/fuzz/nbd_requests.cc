// SPDX-License-Identifier: Apache-2.0
//
// What a client may ask for in transmission. The first byte says how the session was agreed on (bit
// 0 structured replies, bit 1 the allocation context, bit 2 read-only, bit 3 an odd size, bit 4
// fragments), and what the rest is (bits 5 and 6):
//
//   0, 1  requests one by one, each answered before the next; the answers are held to a model of the
//         device's bytes
//   2     the same requests all at once: each is answered exactly once, in a well-formed way
//   3     the client's stream, as it is
//
// A request is its type (1), flags (1), where (2), how long (2), and for writes with what (1).
#include "tests/unit/cdp/nbd_wire.h"

#include "tests/fuzz/fuzz.h"

namespace {

using namespace cdp::test;

constexpr std::uint64_t kEvenSize = 128u << 10;
constexpr std::uint64_t kOddSize = 100'001;

struct Step {
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  std::byte fill{};
};

Step next_step(fuzz::Input& in, std::uint64_t size) {
  Step step{.type = in.u8(), .flags = in.u8()};
  if (step.flags > 31) step.flags = static_cast<std::uint16_t>(step.flags << 5);
  const std::uint16_t where = in.u16();
  const std::uint16_t how_long = in.u16();
  constexpr std::uint64_t kWild[] = {UINT64_MAX, UINT64_MAX - 4095, std::uint64_t{1} << 63,
                                     std::uint64_t{1} << 32};
  if (where >= 0xfff0)
    step.offset = kWild[where % 4];
  else if (where >= 0xff00)
    step.offset = size - (where & 255u);
  else
    step.offset = where * 3u;
  constexpr std::uint32_t kLong[] = {UINT32_MAX, (32u << 20) + 1, 0x80000000, 65u << 20};
  if (how_long >= 0xfff0)
    step.length = kLong[how_long % 4];
  else
    step.length = how_long % 3 == 0 ? how_long / 3 * 4096u % (kEvenSize + 4096) : how_long;
  if (step.type == kWrite) step.fill = static_cast<std::byte>(in.u8());
  return step;
}

Bytes message(const Step& step, std::uint64_t cookie) {
  Out out = request(step.type, cookie, step.offset, step.length, step.flags);
  if (step.type == kWrite) out.add(filled(step.length, std::to_integer<int>(step.fill)));
  return out;
}

// A write that is too long for its payload to be waited for: the session ends.
bool ends_the_session(const Step& step) {
  return step.type == kDisc || (step.type == kWrite && step.length > 1u << 20);
}

// What the device holds, and what a plain request must come to.
struct Model {
  Bytes bytes;
  bool read_only = false;

  bool fits(const Step& step) const {
    return step.length <= bytes.size() && step.offset <= bytes.size() - step.length;
  }
  bool must_succeed(const Step& step) const {
    if (step.flags != 0 || !fits(step) || (read_only && step.type != kRead)) return false;
    if (step.type == kFlush) return step.offset == 0 && step.length == 0;
    return step.length > 0 && step.type <= kZero && step.type != kDisc && step.type != kCache;
  }
  void check(const Step& step, const Reply& reply) {
    if (must_succeed(step)) CHECK(reply.error == 0);
    if (reply.error != 0) return;
    CHECK(step.type <= kStatus && step.type != kDisc);
    if (step.type == kFlush) return;
    CHECK(fits(step));
    const bool changes = step.type == kWrite || step.type == kZero || step.type == kTrim;
    CHECK(!changes || !read_only);
    const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(step.offset);
    const auto end = from + static_cast<std::ptrdiff_t>(step.length);
    if (step.type == kRead) {
      CHECK(reply.data.size() == step.length && std::equal(from, end, reply.data.begin()));
    } else if (step.type == kWrite) {
      std::fill(from, end, step.fill);
    } else if (step.type == kZero) {
      std::fill(from, end, std::byte{0});
    } else if (step.type == kTrim) {
      for (std::uint64_t block = (step.offset + 4095) / 4096;
           (block + 1) * 4096 <= step.offset + step.length; ++block)
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(block * 4096), 4096, std::byte{0});
    } else if (step.type == kStatus) {
      std::uint64_t described = 0;
      for (const auto& [length, flags] : reply.extents) {
        CHECK(length > 0 && flags <= 3);
        described += length;
      }
      CHECK(described > 0 && described <= step.length);
    }
  }
};

void one_by_one(World& world, fuzz::Input& in, Model& model) {
  for (std::uint64_t cookie = 1; !in.empty() && cookie <= 64; ++cookie) {
    const Step step = next_step(in, model.bytes.size());
    if (ends_the_session(step)) {
      world.push(request(step.type, cookie, step.offset, step.length, step.flags));
      return;
    }
    if (step.type == kRead) world.replies.reads[cookie] = {step.offset, step.length};
    Reply reply = world.ask(message(step, cookie), cookie);
    if (step.type == kRead && reply.error == 0) reply.data.resize(step.length);
    model.check(step, reply);
  }
}

void all_at_once(World& world, fuzz::Input& in, std::uint64_t size) {
  std::uint64_t asked = 0;
  Out out;
  while (!in.empty() && asked < 64) {
    const Step step = next_step(in, size);
    if (ends_the_session(step)) break;
    ++asked;
    if (step.type == kRead) world.replies.reads[asked] = {step.offset, step.length};
    out.add(message(step, asked));
  }
  world.push(out);
  world.scheduler.run_for(cdp::seconds(10));
  world.read_replies();
  CHECK(world.replies.order.size() == asked);
  CHECK(world.replies.ended_between_replies());
}

}  // namespace

FUZZ_TARGET(nbd_requests) {
  testing::GTEST_FLAG(break_on_failure) = true;  // what ReplyReader expects
  fuzz::Input in(input);
  const std::uint8_t how = in.u8();
  World world(how, (how & 8) != 0 ? kOddSize : kEvenSize, 512);
  world.device->keep_log = false;
  world.device->is_read_only = (how & 4) != 0;
  sim::Random fragments(how);
  world.connect((how & 1) != 0, (how & 2) != 0);
  CHECK(world.session->device() != nullptr);
  if ((how & 16) != 0) {
    world.connection->fragments = &fragments;
    world.device->delays = &fragments;
  }
  const std::uint64_t size = world.device->size_bytes();
  if ((how >> 5) % 4 == 3) {
    const auto rest = in.rest();
    world.push(Bytes(rest.begin(), rest.end()));
    world.settle();
  } else if ((how >> 5) % 4 == 2) {
    all_at_once(world, in, size);
  } else {
    Model model{.bytes = Bytes(size), .read_only = world.device->is_read_only};
    one_by_one(world, in, model);
  }
  world.connection->end_input();
  const bool ended = world.scheduler.run_until([&] { return world.ended; }, cdp::seconds(120));
  CHECK(ended);
  CHECK(world.device->running == 0);
}
