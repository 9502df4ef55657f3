// SPDX-License-Identifier: Apache-2.0
//
// The JSON documents of the reading verbs: what the REST API answers and what `--json` prints, made
// in one place so that both are the same. Pure functions; moments are given as RFC 3339 text in the
// caller's zone ("time") and in UTC ("time_utc"), sizes in bytes.
//
//   stamp    {"lsn", "time", "time_utc"}
//   volume   {"id", "name", "size_bytes", "backing", "created": stamp, "removed": stamp or absent,
//             "checkpoint_lsn"}
//   notice   {"kind", "message"}: something to know; the exit code is 3
//   mark     {"label", "author", "volume": name or null (of all), "lsn", "time", "time_utc"}
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "journal/index/time_index.h"
#include "journal/state.h"
#include "journal/vault.h"
#include "journal/verify.h"
#include "restore/difference.h"
#include "restore/history.h"
#include "restore/time_zone.h"
#include "tools/api/vault_usage.h"

namespace tools::api {

// Lower-case digits.
std::string hex(std::span<const std::byte> bytes);

boost::json::object stamp_document(cdp::Stamp stamp, const restore::TimeZone& zone);
boost::json::object volume_document(const journal::VolumeState& volume,
                                    const restore::TimeZone& zone);
boost::json::array notices_document(const std::vector<restore::Notice>& notices);

// By name; removed ones only when asked for.
std::vector<const journal::VolumeState*> volumes_by_name(const journal::JournalState& state,
                                                         bool with_removed);
// GET /api/volumes: {"volumes": [volume]}, in that order.
boost::json::object volume_list_document(const journal::JournalState& state, bool with_removed,
                                         const restore::TimeZone& zone);
// GET /api/volumes/NAME/points: {"volume", "first": stamp, "last": stamp, "marks", "notices"}
boost::json::object points_document(const restore::History& history,
                                    const journal::VolumeState& volume);
// GET /api/volumes/NAME/points?at=POINT: {"volume": as it was there, "point": stamp, "asked_time",
// "first", "last", "nearest_mark": mark with "distance_ns" and "distance", "nearest_gap": {"cause",
// "begin": stamp, "end": stamp or absent, "distance_ns", "distance"}, "notices"}
boost::json::object point_document(const restore::ResolvedPoint& resolved,
                                   const journal::JournalState& newest,
                                   const restore::TimeZone& zone);
// {"label", "author", "volume": name or null, and where it is: "lsn", "time", "time_utc"}
boost::json::object mark_document(const journal::MarkRecord& mark,
                                  const journal::JournalState& state,
                                  const restore::TimeZone& zone);
// By LSN; those of one volume, which are those of all volumes too, or all.
std::vector<const journal::MarkRecord*> marks_by_lsn(const journal::JournalState& state,
                                                     const journal::VolumeState* volume);
// Part of GET /api/status: {"vault": {"id", "format_version", "created", and where it is known
// "free_bytes"}, "history": {"newest": stamp, "segments", "bytes", "crashes"}, "volumes": [volume]}
boost::json::object status_document(const restore::History& history, const journal::Vault& vault,
                                    const VaultUsage& usage);
// GET /api/audit: {"audit": [{"lsn", "time", "time_utc", "actor", "origin", "act", "detail",
// "status"}], newest first; "before": LSN, absent where there are no older ones; "notices"}. What
// is lost of the LSNs between `window.before` and "before" is among the notices.
struct AuditWindow {
  std::optional<cdp::Lsn> before{};  // records older than this; none: the newest
  std::size_t limit = 1000;          // at least 1
};
boost::json::object audit_document(const journal::index::TimeIndex::Audits& page,
                                   AuditWindow window, const restore::History& history);
// GET /api/volumes/NAME/diff?from=POINT&to=POINT: {"volume", "from": stamp, "to": stamp,
// "from_size_bytes", "to_size_bytes", "changed_bytes", "zeroed_bytes", "extents": [{"offset",
// "bytes", "becomes": "data" | "zeroes"}], "extents_left_out", "notices"}
boost::json::object diff_document(const restore::ResolvedPoint& from,
                                  const restore::ResolvedPoint& to,
                                  const restore::Difference& difference,
                                  const restore::TimeZone& zone);
// GET /api/segments: {"segments": [{"number", "epoch", "base_lsn", "created", "bytes", "state":
// "open" | "sealed" | "cut"}], newest first; "before": a number, absent where there are no older
// ones}
struct SegmentWindow {
  std::optional<std::uint64_t> before{};  // segments older than this; none: the newest
  std::size_t limit = 100;                // at least 1
};
boost::json::object segments_document(const std::vector<journal::SegmentInfo>& segments,
                                      SegmentWindow window, const restore::TimeZone& zone);
// POST /api/verify: {"ok", "deep", "segments", "frames", "records", ..., "problems": [sentence]}
boost::json::object verify_document(const journal::VerifyReport& report, bool deep);

}  // namespace tools::api
