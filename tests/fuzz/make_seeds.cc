// SPDX-License-Identifier: Apache-2.0
//
// Writes inputs to begin with, for the targets of which a fuzzer would not find the form by itself:
//   fuzz_make_seeds DIRECTORY GOLDEN      into DIRECTORY/TARGET, from the vault in GOLDEN
//
// The corpora were made of these, of what fuzzing for some hours found more, and minimised: see
// README.md. Written in the targets' own forms of input, which their headers say.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "journal/durable_note.h"
#include "journal/hook_file.h"
#include "journal/index/manifest.h"
#include "journal/index/run_writer.h"
#include "restore/clone_catalogue.h"
#include "tests/fuzz/journal_input.h"
#include "tools/api/extent_stream.h"
#include "tools/daemon/rest/operations.h"

namespace {

namespace fs = std::filesystem;
using namespace journal;
using fuzz::Bytes;

fs::path root;
int count = 0;

// Bytes as the targets' inputs are written.
class Out {
 public:
  Out& u8(unsigned value) {
    bytes.push_back(static_cast<std::byte>(value));
    return *this;
  }
  Out& u16(std::size_t value) { return u8(value & 255).u8(value >> 8 & 255); }
  Out& u32(std::uint64_t value) { return u16(value & 65535).u16(value >> 16); }
  Out& add(std::span<const std::byte> more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
    return *this;
  }
  Out& text(std::string_view more) { return add(std::as_bytes(std::span(more))); }
  Out& chunk(std::span<const std::byte> more) { return u16(more.size()).add(more); }
  Out& chunk(std::string_view more) { return chunk(std::as_bytes(std::span(more))); }

  Bytes bytes;
};

void seed(const char* target, const Bytes& bytes) {
  fs::create_directories(root / target);
  std::ofstream file(root / target / fmt::format("seed-{}", count++), std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

Bytes file_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  const auto bytes = std::as_bytes(std::span(content));
  return {bytes.begin(), bytes.end()};
}

// One record of each kind, by its own encoder.
std::vector<RecordEncoder> records_of_history() {
  std::vector<RecordEncoder> all;
  std::uint64_t lsn = 100;
  const auto stamp = [&] { return Stamp{{++lsn}, {static_cast<std::int64_t>(lsn)}}; };
  const auto add = [&](const auto& record) { all.emplace_back().add(record); };
  const Uuid uuid = fuzz::vault().uuid;
  add(VolumeCreated{{1}, stamp(), uuid, 1u << 20, "db", "/dev/x"});
  add(VolumeCreated{{2}, stamp(), uuid, 1u << 20, "log", ""});
  add(ZeroRecord{{1}, stamp(), cdp::ZeroKind::kTrim, 4, 100});
  add(VolumeResized{{1}, stamp(), 1u << 19});
  add(VolumeRenamed{{1}, stamp(), "db2"});
  add(MarkRecord{{}, stamp(), "before", "ops"});
  add(CheckpointRecord{{1}, stamp(), {5}, std::nullopt});
  add(CheckpointRecord{{1}, stamp(), {5}, Hydration{7, {3}}});
  add(RollbackRecord{stamp(), {102}, {{{1}, 1u << 20}, {{2}, 1u << 20}}, "ops", true});
  add(GapRecord{{1}, stamp(), "the journal was full", false});
  add(GapRecord{{1}, stamp(), "", true});
  add(VolumeResumed{{1}, stamp()});
  add(UserRecord{stamp(), "ops", "$argon2id$v=19$", 5, false});
  add(TokenRecord{stamp(), Digest{}, "ops", "backup host", 1, {1 << 20}, false});
  add(AuditRecord{stamp(), 200, "ops", "10.0.0.1", "rollBack", "db to 102"});
  add(PulseRecord{{1},
                  stamp(),
                  PulseRecord::Step::kSecond,
                  1 << 20,
                  300,
                  2,
                  800,
                  1,
                  2,
                  700,
                  1u << 20,
                  40,
                  180,
                  5});
  add(PulseRecord{{1}, stamp(), PulseRecord::Step::kDay, 86400, 1u << 30});
  add(TokenRecord{stamp(), Digest{}, "ops", "backup host", 1, {1 << 20}, true});
  add(UserRecord{stamp(), "ops", "", 5, true});
  add(VolumeCreatedFrom{{3}, stamp(), uuid, 1u << 20, {1}, {104}, "copy", ""});
  add(VolumeRemoved{{2}, stamp()});
  add(CrashRecord{stamp(), 1, 1, 4096, {50}, {60}, 3});
  add(ClockRecord{stamp(), ClockRecord::Reason::kStep, {5}, {6}, {7}});
  const Fingerprint prints[2] = {{1, 2}, {3, 4}};
  const StoredPiece pieces[] = {
      {.kind = PieceKind::kNew, .count = 2, .first_new = 0, .place = {}, .fingerprints = prints},
      {.kind = PieceKind::kZero, .count = 3},
      {.kind = PieceKind::kReference, .count = 1, .first_new = 0,
       .place = {1, 8192, 4144, 0}, .fingerprints = std::span(prints, 1)},
      {.kind = PieceKind::kRepeat, .count = 1, .first_new = 1},
      {.kind = PieceKind::kSame, .count = 1}};
  all.emplace_back(Stamp{{101}, {101}}).write({1}, stamp(), 5, pieces);
  return all;
}

RecordEncoder records_of_state() {
  RecordEncoder all;
  all.add(StateVaultRecord{{{90}, {90}}, 3});
  VolumeState volume{.id = {1}, .uuid = fuzz::vault().uuid, .name = "db", .size_bytes = 1u << 20};
  volume.created = {{2}, {2}};
  all.add(StateVolumeRecord{volume});
  volume.id = {2};
  volume.removed = Stamp{{80}, {80}};
  volume.hydration = Hydration{5, {6}};
  volume.origin = {{1}, {1}};
  volume.writers_refused = true;
  all.add(StateVolumeRecord{volume});
  all.add(RollbackRecord{{{70}, {70}}, {60}, {{{1}, 1u << 20}}, "ops", false});
  all.add(GapRecord{{1}, {{71}, {71}}, "the journal was full", false});
  all.add(GapRecord{{1}, {{75}, {75}}, "", true});
  all.add(MarkRecord{{1}, {{50}, {50}}, "label", "ops"});
  all.add(CrashRecord{{{40}, {40}}, 1, 1, 8192, {30}, {0}, 1});
  all.add(ClockRecord{{{41}, {41}}, ClockRecord::Reason::kHeartbeat, {1}, {2}, {3}});
  all.add(UserRecord{{{42}, {42}}, "dba", "", 1, true});
  all.add(UserRecord{{{43}, {43}}, "ops", "$argon2id$v=19$", 5, false});
  all.add(TokenRecord{{{44}, {44}}, Digest{}, "ops", "backup host", 1, {1 << 20}, false});
  return all;
}

RecordEncoder footer() {
  RecordEncoder all;
  all.add(FooterRecord{{{200}, {200}}, FooterRecord::Reason::kClosed, 2, 0});
  return all;
}

void seeds_of_small_files() {
  const Vault& vault = fuzz::vault();
  for (const unsigned seal : {0u, 1u}) {
    seed("vault_file", Out().u8(seal).add(encode_vault(vault)).bytes);
    seed("durable_note", Out().u8(seal).add(encode_durable_note({{9}, {7}}, vault)).bytes);
    index::Manifest manifest{.next_number = 9, .last_frame = {}, .runs = {{3, {}, {7}}, {5, {7}, {9}}}};
    const SegmentHooks hooks{.segment = 3, .length = 1u << 20, .hooks = {{{0, 64}, 8192}, {{0, 0}, 4096}}};
    seed("hook_file", Out().u8(seal).add(encode_hooks(hooks, vault)).bytes);
    seed("index_manifest", Out().u8(seal).add(index::encode_manifest(manifest, vault)).bytes);
  }
  const std::string clones = restore::encode_clones(
      {{"one", vault.uuid, {1}, {2}, 4096, {5}}, {"two", Uuid{}, {3}, {4}, 1u << 30, {6}}});
  seed("clone_catalogue", Out().u8(0).text(clones).bytes);
  seed("clone_catalogue", Out().u8(1).text(clones.substr(0, clones.rfind("checksum"))).bytes);
  Bytes header(kSegmentHeaderBytes);
  const std::span<std::byte, kSegmentHeaderBytes> into(header.data(), header.size());
  encode_segment_header({.segment = 1, .epoch = 1, .first_sequence = 1}, vault, into);
  seed("segment_header", Out().u8(3).add(header).bytes);
  encode_segment_header({.segment = 4,
                         .epoch = 2,
                         .first_sequence = 9,
                         .previous_end = PreviousEnd::kCut,
                         .previous_length = 8192},
                        vault, into);
  for (const unsigned seal : {0u, 1u})
    seed("segment_header", Out().u8(seal).add(header).bytes);
}

void seeds_of_records() {
  Out all;
  const std::vector<RecordEncoder> history = records_of_history();
  for (const RecordEncoder& one : history) {
    seed("records", Out().u8(1).u8(2).u8(3).add(one.bytes()).bytes);
    all.add(one.bytes());
  }
  const RecordEncoder opening = records_of_state();
  seed("records", Out().u8(1).u8(2).u8(3).add(all.bytes).bytes);
  seed("records", Out().u8(0).u8(0).u8(0).add(opening.bytes()).bytes);
  seed("records", Out().u8(2).u8(0).u8(0).add(footer().bytes()).bytes);
  seed("state", Out().u8(0).chunk(opening.bytes()).chunk(all.bytes).u8(1).u8(3).u8(7).bytes);
  seed("state", Out().u8(1).chunk(opening.bytes()).chunk(opening.bytes()).bytes);

  const auto operations = [&](unsigned flaw) {
    return Out()
        .u8(0).chunk(opening.bytes())
        .u8(1).chunk(all.bytes).u8(1).u8(3).u8(0x61)
        .u8(1 | flaw).chunk(history[2].bytes()).u8(0)
        .u8(2).chunk(footer().bytes());
  };
  for (unsigned how = 0; how < 8; ++how) {
    seed("segments", Out().u8(how).add(operations(0).bytes).bytes);
    seed("segments", Out().u8(how).add(operations(0).bytes).u8(4).u8(1).u8(0)
                         .add(operations(0).bytes).bytes);
    seed("segments", Out().u8(how).add(operations(16u << how % 4).bytes).u8(4).u8(2).u8(0)
                         .u8(0).chunk(opening.bytes()).bytes);
    seed("segments", Out().u8(how).add(operations(0).bytes).u8(6).u32(4096 + 700).u8(1).u8(5)
                         .u8(3).chunk("HSFRAME").bytes);
  }
}

void seeds_of_frames(const fs::path& golden) {
  for (std::uint32_t segment = 1; segment <= 3; ++segment) {
    const Bytes bytes = file_of(golden / segment_name(segment));
    for (std::size_t at = kSegmentHeaderBytes; at + kFrameHeaderBytes <= bytes.size();) {
      const auto frame = std::span(bytes).subspan(at);
      const auto header = decode_frame_header(fuzz::vault(), segment, at,
                                              frame.first<kFrameHeaderBytes>());
      if (!header.ok()) break;
      if (header->total_bytes <= 24576)
        seed("frame", Out().u8(1).add(frame.first(header->used_bytes())).bytes);
      const auto table = frame.subspan(kFrameHeaderBytes + header->record_bytes,
                                       header->run_count * kRunEntryBytes);
      const auto runs = decode_run_table(*header, table);
      for (const RunEntry& run : *runs)
        if (run.stored_bytes <= 8192)
          seed("run", Out().u8(1).add(frame.subspan(run.offset, run.stored_bytes)).bytes);
      at += header->total_bytes;
    }
  }
}

void seeds_of_index() {
  std::vector<index::Entry> entries;
  std::vector<index::FrameRow> frames;
  for (std::uint64_t i = 1; i <= 6000; ++i) {
    const bool zero = i % 10 == 0;
    entries.push_back({index::tree_of({1}, zero ? 2 : 0), i * 7 % 500, {i},
                       zero ? BlockPlace{}
                            : BlockPlace{1, static_cast<std::uint32_t>(i * 4096), 4096, 3}});
    if (i % 20 == 0)
      frames.push_back({.segment = 1, .offset = static_cast<std::uint32_t>(i * 4096),
                        .total_bytes = 4096, .flags = static_cast<std::uint8_t>(i % 8),
                        .first_lsn = {i - 19}, .last_lsn = {i}, .min_time = {100}, .max_time = {200}});
  }
  const auto image = index::build_run(fuzz::vault(), 5, {{0}, {6000}}, entries, frames);
  Bytes header(index::kPageBytes);
  index::encode_run_header(image.header, fuzz::vault(),
                           std::span<std::byte, index::kPageBytes>(header.data(), header.size()));
  seed("index_page", Out().u8(1 << 2 | 3).add(header).bytes);
  std::array<bool, 8> seen{};
  for (const index::PageChunk& chunk : image.chunks) {
    for (std::uint32_t page = 0; page < chunk.pages; ++page) {
      const auto bytes = chunk.bytes().subspan(page * index::kPageBytes, index::kPageBytes);
      const auto kind = static_cast<unsigned>(
          index::kind_of(index::PageBytes(bytes.data(), index::kPageBytes)));
      if (!std::exchange(seen[kind], true)) seed("index_page", Out().u8(kind << 2 | 1).add(bytes).bytes);
    }
  }
}

void seeds_of_nbd() {
  const auto be32 = [](unsigned value) {
    return Out().u8(value >> 24).u8(value >> 16 & 255).u8(value >> 8 & 255).u8(value & 255).bytes;
  };
  const Bytes disk = Out().add(be32(4)).text("disk").bytes;
  const auto option = [](unsigned number, const Bytes& data) {
    return Out().u8(number).u8(0).chunk(std::span<const std::byte>(data)).bytes;
  };
  const Bytes go = Out().add(disk).u8(0).u8(2).u8(0).u8(1).u8(0).u8(3).bytes;
  const Bytes context =
      Out().add(disk).add(be32(1)).add(be32(15)).text("base:allocation").bytes;
  for (const unsigned how : {16u, 17u, 48u}) {
    for (const unsigned number : {2u, 3u, 4u, 5u, 8u, 11u, 12u})
      seed("nbd_handshake", Out().u8(how).u8(3).add(option(number, {})).bytes);
    seed("nbd_handshake", Out().u8(how).u8(1).add(option(1, Out().text("disk").bytes)).bytes);
    seed("nbd_handshake", Out().u8(how).u8(3).add(option(6, go)).add(option(7, go)).bytes);
    seed("nbd_handshake", Out().u8(how).u8(3).add(option(8, {})).add(option(9, context))
                              .add(option(10, context)).add(option(7, go)).bytes);
    seed("nbd_handshake", Out().u8(how).u8(3).u8(6).u8(128).chunk("x").bytes);
  }
  for (const unsigned how : {144u, 209u}) {
    seed("nbd_handshake", Out()
                              .u8(how)
                              .u8(3)
                              .add(option(8, {}))
                              .add(option(6, go))
                              .add(option(5, {}))
                              .add(option(9, context))
                              .add(option(5, {}))
                              .add(option(3, {}))
                              .add(option(7, go))
                              .bytes);
  }
  seed("nbd_handshake", Out().u8(0).add(be32(3)).text("IHAVEOPT").add(be32(3)).add(be32(0)).bytes);

  for (unsigned how = 0; how < 96; how += 5) {
    Out out;
    out.u8(how);
    for (const unsigned type : {1u, 0u, 6u, 0u, 4u, 0u, 7u, 5u, 3u, 1u, 0u}) {
      out.u8(type).u8(how % 7 == 0 ? 1u << type % 5 : 0).u16(type == 3 ? 0 : 400u + how * 50);
      out.u16(type == 3 ? 0 : type == 1 ? 5000 + how : 9000);
      if (type == 1) out.u8(how + 1);
    }
    seed("nbd_requests", out.bytes);
  }
  const auto raw = [&](unsigned type, unsigned length) {
    return Out().add(be32(0x25609513)).u16(0).u8(0).u8(type).add(be32(0)).add(be32(9))
        .add(be32(0)).add(be32(4096)).add(be32(length)).bytes;
  };
  for (unsigned type = 0; type < 9; ++type)
    seed("nbd_requests", Out().u8(0x61).add(raw(type, 4)).text("data").add(raw(0, 8)).bytes);
}

void seeds_of_texts() {
  constexpr std::string_view points[] = {
      "2020-02-23T18:56:00+08:00", "2020-02-23 18:56", "18:56", "yesterday 18:56", "today 00:00:01.5",
      "5 minutes ago", "an hour 3 s ago", "lsn:1234", "mark:before-upgrade", "now", "first",
      "2261-12-31T23:59:59.999999999Z", "1970-01-01 00:00 utc", "2020-10-25 02:30", "mark:\xc3\xa9"};
  for (const std::string_view text : points)
    for (unsigned where = 0; where < 20; where += 7) seed("point", Out().u8(where).text(text).bytes);
  for (const std::string_view text :
       {"10G", "4096", "18014398509481983k", "6d1f0c2e-8f3a-4b7e-9a51-0c9f5d2b7e11", "+08:00", "-03:30",
        "Z", "UTC", "Asia/Shanghai", "0000000042.seg", "volume-1", "a label"})
    seed("texts", Out().text(text).bytes);
  for (const std::string_view wire :
       {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /api/status?tz=UTC HTTP/1.0\r\n\r\n",
        "POST /api/marks HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nAuthorization: Bearer "
        "t\r\n\r\n{}",
        "POST /api/verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
        "chunked\r\n\r\n1\r\n{\r\n01\r\n}\r\n0\r\nA: b\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\n",
        "DELETE /api/volumes/a%20b HTTP/1.1\r\nHost: [::1]:1\r\nCookie: a=b\r\nX-CSRF-Token: "
        "c\r\nOrigin: https://x\r\n"
        "Sec-Fetch-Site: none\r\nIdempotency-Key: k\r\nExpect: 100-continue\r\nConnection: "
        "close\r\n\r\n"})
    for (unsigned piece : {0u, 5u}) seed("http_request", Out().u8(piece).text(wire).bytes);
  constexpr std::string_view bodies[] = {
      "",
      R"({"name":"db","size_bytes":1048576,"backing":"/srv/x"})",
      R"({"name":"db","origin":{"volume":"shop","at":"lsn:7"}})",
      R"({"volume":"shop","at":"mark:a","name":"try"})",
      R"({"label":"a","all":true})",
      R"({"volumes":["a","b"],"at":"now","dry_run":true,"disconnect":false})",
      R"({"deep":true})",
      R"({"size_bytes":18446744073709551615})",
      R"({"size_bytes":-1})",
      R"([1,{"name":[]}])",
      "nul"};
  for (std::size_t operation = 0; operation < tools::operations().size(); ++operation) {
    for (const std::string_view body : bodies) {
      const auto which = static_cast<unsigned>(operation);
      for (const std::string_view query : {"", "true", "lsn:7", "Europe/Berlin"})
        seed("api_request", Out().u8(which).text(body).u8(0).text(query).bytes);
    }
  }
}

void seeds_of_streams() {
  for (const unsigned how : {0u, 1u, 7u, 255u}) {
    tools::api::ExtentStreamEncoder encoder;
    const Bytes data(512, std::byte{7});
    Out out;
    out.u8(how).add(encoder.start({8192, {5}, {6}, 512}));
    out.add(encoder.data(0, data)).add(data).add(encoder.zero(512, 8192 - 512));
    out.add(encoder.notice("something to know"));
    seed("extent_stream", Out().add(out.bytes).add(encoder.error("it broke")).bytes);
    seed("extent_stream", Out().add(out.bytes).add(encoder.end()).bytes);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "fuzz_make_seeds DIRECTORY GOLDEN\n");
    return 2;
  }
  root = argv[1];
  seeds_of_small_files();
  seeds_of_records();
  seeds_of_frames(argv[2]);
  seeds_of_index();
  seeds_of_nbd();
  seeds_of_texts();
  seeds_of_streams();
  fmt::print("{} inputs below {}\n", count, argv[1]);
  return 0;
}
