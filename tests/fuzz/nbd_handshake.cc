// SPDX-License-Identifier: Apache-2.0
//
// What a client may say before transmission. The first byte says how: in which fragments it arrives
// (low 4 bits), and whether the rest is the client's stream as it is, or (bit 4) a list of options,
// each a number (1, above 11 a wild one), how far its stated length is off (1) and a chunk of data,
// which are framed so that each is looked at. Then the client goes away (bit 5: without a word).
// With bit 7 there is what stands for TLS (bit 6: required): in a list, what follows a sound
// NBD_OPT_STARTTLS comes by it.
//
// The session must end by itself, soon, with nothing held; and what it says must be a greeting,
// well-formed replies to options, and nothing else, up to the transmission.
#include "tests/fuzz/fuzz.h"
#include "tests/unit/cdp/fake_security.h"
#include "tests/unit/cdp/nbd_wire.h"

namespace {

using namespace cdp::test;
namespace nbd = cdp::nbd;

constexpr std::uint32_t kStartTls = 5;

Bytes framed(fuzz::Input& in, bool until_tls) {
  Out out;
  bool starts_tls = false;
  while (!in.empty() && !(until_tls && starts_tls)) {
    const std::uint32_t number = in.u8();
    const auto off = static_cast<std::int8_t>(in.u8());
    const auto chunk = in.chunk();
    const Bytes data(chunk.begin(), chunk.end());
    const std::uint32_t length =
        off == INT8_MIN ? UINT32_MAX - 7
                        : static_cast<std::uint32_t>(static_cast<int>(data.size()) + off);
    starts_tls = number == kStartTls && length == 0;
    out.text("IHAVEOPT").u32(number > 11 ? number << 24 : number).u32(length).add(data);
  }
  return out;
}

// True when the whole of it was replies to options; false when transmission began.
bool check_replies(std::span<const std::byte> said) {
  while (said.size() >= 20) {
    if (cdp::load_be<std::uint64_t>(said.data()) != 0x3e889045565a9) return false;
    const auto length = cdp::load_be<std::uint32_t>(said.data() + 16);
    CHECK(length <= 8192);
    CHECK(said.size() >= 20 + length);
    said = said.subspan(20 + length);
  }
  return said.empty();
}

}  // namespace

FUZZ_TARGET(nbd_handshake) {
  fuzz::Input in(input);
  const std::uint8_t how = in.u8();
  World world(how & 15, 1u << 20, 512);
  const std::size_t free_pages = world.device->pool().available();
  sim::Random fragments(how & 15);
  if ((how & 15) != 0) world.connection->fragments = &fragments;
  world.device->is_read_only = (how & 64) != 0;
  FakeSecurity security;
  security.exports = world.exports;
  security.refused = {"mine"};
  const bool has_tls = (how & 128) != 0;
  if (has_tls) {
    const bool is_required = (how & 64) != 0;
    world.tls = {is_required ? nbd::TlsMode::kRequired : nbd::TlsMode::kOffered, &security};
  }
  world.begin();
  Bytes said;
  if ((how & 16) != 0) {
    world.push(Out{}.u32(in.u8()));
    world.push(framed(in, has_tls));
    if (has_tls) {
      said = world.take();
      world.push(Out{}.text("T"));
      world.push(turned(framed(in, false)));
    }
  } else {
    const auto rest = in.rest();
    world.push(Bytes(rest.begin(), rest.end()));
  }
  world.settle();
  if ((how & 32) != 0)
    world.connection->vanish();
  else
    world.connection->end_input();
  const bool ended = world.scheduler.run_until([&] { return world.ended; }, cdp::seconds(60));
  CHECK(ended);
  const std::size_t in_clear = said.size();
  const Bytes more = world.connection->take();
  said.insert(said.end(), more.begin(), more.end());
  if ((how & 32) == 0) CHECK(said.size() >= 18);
  if (said.size() < 18) return;
  CHECK(Bytes(said.begin(), said.begin() + 18) == Bytes(Out{}.text("NBDMAGICIHAVEOPT").u16(3)));
  const bool agreed = world.session->device() != nullptr;
  CHECK(security.handshakes <= 1);
  if (security.handshakes == 0) {
    const bool only_replies = check_replies(std::span(said).subspan(18));
    if (!agreed) CHECK(only_replies);
  } else if ((how & 16) != 0) {
    CHECK(check_replies(std::span(said).first(in_clear).subspan(18)));
    CHECK(more.empty() || more[0] == std::byte{'T'});
    const Bytes secret = turned(more);
    const bool only_replies = more.empty() || check_replies(std::span(secret).subspan(1));
    if (!agreed) CHECK(only_replies);
  }
  world.session.reset();
  CHECK(world.device->running == 0);
  if (!agreed) CHECK(world.device->pool().available() == free_pages);
}
