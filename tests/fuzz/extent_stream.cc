// SPDX-License-Identifier: Apache-2.0
//
// The stream in which an image travels, taken apart. The first byte says whether checksums and
// numbers of frames are put right (bit 0), and in how large pieces the stream comes (the rest). It
// makes no difference to what is found in which pieces it comes; and what is whole covers every
// byte of the image.
#include "tools/api/extent_stream.h"

#include <xxhash.h>

#include "tests/fuzz/fuzz.h"

namespace {

using namespace tools::api;

void seal(fuzz::Bytes& stream) {
  if (stream.size() < kStreamHeaderBytes) return;
  std::memcpy(stream.data(), "HSIMAGE1", 8);
  cdp::store_le(stream.data() + 56, std::uint64_t{XXH3_64bits(stream.data(), 56)});
  std::uint32_t number = 0;
  for (std::size_t at = kStreamHeaderBytes; stream.size() - at >= kFrameHeaderBytes; ++number) {
    std::byte* const frame = stream.data() + at;
    const auto kind = std::to_integer<int>(frame[0]);
    const bool has_payload = kind == 1 || kind == 4 || kind == 5;
    const std::uint64_t length = has_payload ? cdp::load_le<std::uint64_t>(frame + 16) : 0;
    const std::size_t left = stream.size() - at - kFrameHeaderBytes;
    const std::size_t payload = std::min<std::uint64_t>(length, left);
    cdp::store_le(frame + 4, number);
    cdp::store_le(frame + 24, std::uint64_t{XXH3_64bits_withSeed(frame + kFrameHeaderBytes, payload,
                                                                 XXH3_64bits(frame, 24))});
    at += kFrameHeaderBytes + payload;
  }
}

class Found final : public ExtentSink {
 public:
  cdp::Status start(const ImageInfo& info) override {
    said = info;
    ++calls;
    return {};
  }
  cdp::Status data(std::uint64_t offset, std::span<const std::byte> bytes) override {
    note(1, offset, bytes.size());
    return {};
  }
  cdp::Status zero(std::uint64_t offset, std::uint64_t length) override {
    note(2, offset, length);
    return {};
  }
  void notice(std::string sentence) override { note(3, 0, sentence.size()); }

  ImageInfo said;
  std::uint64_t calls = 0;
  std::uint64_t covered = 0;
  std::uint64_t trace = 0;

 private:
  void note(std::uint64_t kind, std::uint64_t offset, std::uint64_t length) {
    CHECK(calls++ > 0);
    if (kind != 3) {
      CHECK(length > 0 && offset <= said.size_bytes && length <= said.size_bytes - offset);
      covered += length;
    }
    trace = (trace ^ kind ^ offset << 8 ^ length << 32) * 0x9e3779b97f4a7c15 + length;
  }
};

struct Outcome {
  cdp::Status fed;
  bool is_whole = false;
};

Outcome decode(std::span<const std::byte> stream, std::size_t piece, Found& into) {
  ExtentStreamDecoder decoder(into);
  Outcome outcome;
  while (outcome.fed.ok() && !stream.empty()) {
    const auto next = stream.first(std::min(piece, stream.size()));
    outcome.fed = decoder.feed(next);
    stream = stream.subspan(next.size());
  }
  outcome.is_whole = decoder.complete();
  CHECK(!outcome.is_whole || outcome.fed.ok());
  CHECK(decoder.finish().ok() == (outcome.fed.ok() && outcome.is_whole));
  return outcome;
}

}  // namespace

FUZZ_TARGET(extent_stream) {
  fuzz::Input in(input);
  const std::uint8_t how = in.u8();
  fuzz::Bytes stream = in.copy_of_rest();
  if ((how & 1) != 0) seal(stream);
  Found whole;
  Found parts;
  const Outcome at_once = decode(stream, stream.size() + 1, whole);
  const Outcome in_parts = decode(stream, (how >> 1) + 1u, parts);
  CHECK(at_once.fed.ok() == in_parts.fed.ok() && at_once.is_whole == in_parts.is_whole);
  CHECK(whole.trace == parts.trace && whole.calls == parts.calls && whole.said == parts.said);
  if (!at_once.is_whole) return;
  CHECK(whole.covered == whole.said.size_bytes);
}
