// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/log_history.h"

#include <algorithm>
#include <cstring>

namespace sim {

using cdp::kBlockBytes;
using cdp::Lsn;
using Kind = LogRecord::Kind;

namespace {

void apply(const SimLog& log, const LogRecord& record, std::vector<std::byte>& content,
           const LogOrigin& origin) {
  if (record.kind == Kind::kRollback) {
    content = content_at(log, origin, record.point);
  } else if (record.is_change()) {
    replay({record}, record.volume, Lsn{0}, record.lsn, content);
  }
}

}  // namespace

std::vector<std::byte> content_at(const SimLog& log, const LogOrigin& origin, Lsn upto) {
  std::vector<std::byte> content = origin.content;
  content.resize(origin.bytes_max);
  // What came before the newest rollback does not matter.
  Lsn after;
  for (const LogRecord& record : log)
    if (record.kind == Kind::kRollback && record.lsn <= upto) after = record.lsn;
  for (const LogRecord& record : log)
    if (record.lsn <= upto && record.lsn >= after) apply(log, record, content, origin);
  return content;
}

std::uint64_t size_at(const SimLog& log, const LogOrigin& origin, Lsn upto) {
  std::uint64_t size = origin.size_bytes;
  for (const LogRecord& record : log)
    if (record.lsn <= upto && record.size_bytes > 0) size = record.size_bytes;
  return size;
}

LoggedState state_of(const SimLog& log, const LogOrigin& origin) {
  LoggedState state;
  if (!origin.content.empty()) state.hydration = LoggedState::Hydration{};
  for (const LogRecord& record : log) {
    if (record.kind == Kind::kRollback) {
      const Lsn base =
          state.hydration ? std::min(state.hydration->base, state.covered) : state.covered;
      state.hydration = LoggedState::Hydration{0, base};
      state.replaced = record.lsn;
    } else if (record.kind == Kind::kCheckpoint) {
      state.covered = std::max(state.covered, record.covered);
      if (record.hydrated_upto) {
        CHECK(state.hydration.has_value());
        state.hydration->cursor = *record.hydrated_upto;
      } else {
        state.hydration.reset();
      }
    }
  }
  return state;
}

std::vector<bool> differing_since(const SimLog& log, const LogOrigin& origin, Lsn base) {
  const std::size_t blocks = origin.bytes_max / kBlockBytes;
  std::vector<bool> differing(blocks);
  const auto compare = [&](const std::vector<std::byte>& one, const std::vector<std::byte>& other) {
    for (std::size_t block = 0; block < blocks; ++block) {
      if (std::memcmp(one.data() + block * kBlockBytes, other.data() + block * kBlockBytes,
                      kBlockBytes) != 0)
        differing[block] = true;
    }
  };
  std::vector<std::byte> content = content_at(log, origin, base);
  if (base == Lsn{0}) compare(std::vector<std::byte>(origin.bytes_max), content);
  for (const LogRecord& record : log) {
    if (record.lsn <= base || record.kind == Kind::kCheckpoint) continue;
    const std::vector<std::byte> before = content;
    apply(log, record, content, origin);
    if (record.kind == Kind::kRollback) compare(before, content);
    for (std::uint64_t i = 0; record.is_change() && i < record.blocks; ++i) {
      const bool same = record.kind == Kind::kWrite && record.same[i];
      if (!same && record.first_block + i < blocks) differing[record.first_block + i] = true;
    }
  }
  return differing;
}

}  // namespace sim
