// SPDX-License-Identifier: Apache-2.0
#include "tools/api/documents.h"

#include <algorithm>
#include <string>

namespace tools::api {
namespace {

namespace json = boost::json;
using restore::TimeZone;

// How far a point is from what the document describes.
void add_distance(json::object& document, cdp::Nanos distance, std::string_view none) {
  document["distance_ns"] = distance.value;
  document["distance"] = distance == cdp::Nanos{}
                             ? std::string{none}
                             : fmt::format("{} {}", restore::format_duration(distance),
                                           distance.value < 0 ? "before it" : "after it");
}

}  // namespace

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

json::object stamp_document(cdp::Stamp stamp, const TimeZone& zone) {
  return {{"lsn", stamp.lsn.value},
          {"time", restore::format_time(stamp.time, zone)},
          {"time_utc", restore::format_time(stamp.time, TimeZone::utc())}};
}

json::object mark_document(const journal::MarkRecord& mark, const journal::JournalState& state,
                           const TimeZone& zone) {
  json::object document{{"label", mark.label}, {"author", mark.author}};
  const journal::VolumeState* volume = state.find(mark.volume);
  // Braces would make an array of it.
  document["volume"] = nullptr;
  if (volume != nullptr) document["volume"] = volume->name;
  for (auto& [key, value] : stamp_document(mark.stamp, zone)) document[key] = value;
  return document;
}

json::object volume_document(const journal::VolumeState& volume, const TimeZone& zone) {
  json::object document{{"id", volume.uuid.to_string()},
                        {"name", volume.name},
                        {"size_bytes", volume.size_bytes},
                        {"backing", volume.backing},
                        {"created", stamp_document(volume.created, zone)},
                        {"checkpoint_lsn", volume.checkpoint.value}};
  if (volume.removed) document["removed"] = stamp_document(*volume.removed, zone);
  return document;
}

json::array notices_document(const std::vector<restore::Notice>& notices) {
  json::array documents;
  for (const restore::Notice& notice : notices) {
    documents.push_back(json::object{{"kind", notice.kind}, {"message", notice.message}});
  }
  return documents;
}

std::vector<const journal::VolumeState*> volumes_by_name(const journal::JournalState& state,
                                                         bool with_removed) {
  std::vector<const journal::VolumeState*> chosen;
  for (const auto& [id, volume] : state.volumes) {
    if (with_removed || !volume.removed) chosen.push_back(&volume);
  }
  std::sort(chosen.begin(), chosen.end(), [](const auto* a, const auto* b) {
    return a->name != b->name ? a->name < b->name : a->id < b->id;
  });
  return chosen;
}

json::object volume_list_document(const journal::JournalState& state, bool with_removed,
                                  const TimeZone& zone) {
  json::array volumes;
  for (const journal::VolumeState* volume : volumes_by_name(state, with_removed)) {
    volumes.push_back(volume_document(*volume, zone));
  }
  return {{"volumes", std::move(volumes)}};
}

std::vector<const journal::MarkRecord*> marks_by_lsn(const journal::JournalState& state,
                                                     const journal::VolumeState* volume) {
  std::vector<const journal::MarkRecord*> chosen;
  for (const auto& [label, mark] : state.marks) {
    const bool wanted =
        volume == nullptr || mark.volume == cdp::VolumeId{} || mark.volume == volume->id;
    if (wanted) chosen.push_back(&mark);
  }
  std::sort(chosen.begin(), chosen.end(),
            [](const auto* a, const auto* b) { return a->stamp.lsn < b->stamp.lsn; });
  return chosen;
}

json::object points_document(const restore::History& history, const journal::VolumeState& volume) {
  const TimeZone& zone = history.zone();
  const restore::Ends ends = history.ends_of(volume);
  json::array marks;
  for (const journal::MarkRecord* mark : marks_by_lsn(history.newest(), &volume))
    marks.push_back(mark_document(*mark, history.newest(), zone));
  return {{"volume", volume_document(volume, zone)},
          {"first", stamp_document(ends.first, zone)},
          {"last", stamp_document(ends.last, zone)},
          {"marks", std::move(marks)},
          {"notices", notices_document(history.notices_of(volume))}};
}

json::object point_document(const restore::ResolvedPoint& resolved,
                            const journal::JournalState& newest, const TimeZone& zone) {
  json::object document{{"volume", volume_document(resolved.volume, zone)},
                        {"point", stamp_document(resolved.at, zone)},
                        {"first", stamp_document(resolved.ends.first, zone)},
                        {"last", stamp_document(resolved.ends.last, zone)},
                        {"notices", notices_document(resolved.notices)}};
  if (resolved.asked_time) {
    document["asked_time"] = restore::format_time(*resolved.asked_time, zone);
  }
  if (resolved.nearest_mark) {
    const restore::NearestMark& nearest = *resolved.nearest_mark;
    json::object mark = mark_document(nearest.mark, newest, zone);
    add_distance(mark, nearest.distance, "at it");
    document["nearest_mark"] = std::move(mark);
  }
  if (resolved.nearest_gap) {
    const auto& [gap, distance] = *resolved.nearest_gap;
    json::object near{{"cause", gap.cause}, {"begin", stamp_document(gap.begin, zone)}};
    if (gap.end) near["end"] = stamp_document(*gap.end, zone);
    add_distance(near, distance, resolved.is_in_gap ? "inside it" : "at it");
    document["nearest_gap"] = std::move(near);
  }
  return document;
}

json::object status_document(const restore::History& history, const journal::Vault& vault,
                             const VaultUsage& usage) {
  const TimeZone& zone = history.zone();
  const journal::JournalState& newest = history.newest();
  json::object document{{"vault",
                         {{"id", vault.uuid.to_string()},
                          {"format_version", journal::kFormatVersion},
                          {"created", restore::format_time(vault.created, zone)}}},
                        {"history",
                         {{"newest", stamp_document({newest.lsn, newest.time}, zone)},
                          {"segments", usage.segments},
                          {"bytes", usage.bytes},
                          {"crashes", newest.crashes.size()}}}};
  if (usage.free_bytes) document["vault"].as_object()["free_bytes"] = *usage.free_bytes;
  document["volumes"] = volume_list_document(newest, false, zone).at("volumes");
  return document;
}

json::object audit_document(const journal::index::TimeIndex::Audits& page, AuditWindow window,
                            const restore::History& history) {
  json::array audits;
  for (const journal::AuditRecord& record : page.records) {
    json::object audit = stamp_document(record.stamp, history.zone());
    audit["actor"] = record.actor;
    audit["origin"] = record.origin;
    audit["act"] = record.act;
    audit["detail"] = record.detail;
    audit["status"] = record.status;
    audits.push_back(std::move(audit));
  }
  json::object document{{"audit", std::move(audits)}};
  if (page.before) document["before"] = page.before->value;
  std::vector<restore::Notice> notices = history.confirmed_losses(
      page.before.value_or(cdp::Lsn{}), window.before.value_or(cdp::Lsn{UINT64_MAX}));
  for (const journal::Damage& damage : page.lost)
    notices.push_back(restore::History::notice_of(damage));
  if (!notices.empty()) document["notices"] = notices_document(notices);
  return document;
}

json::object diff_document(const restore::ResolvedPoint& from, const restore::ResolvedPoint& to,
                           const restore::Difference& difference, const TimeZone& zone) {
  json::array extents;
  for (const restore::Difference::Extent& extent : difference.extents) {
    extents.push_back({{"offset", extent.offset},
                       {"bytes", extent.bytes},
                       {"becomes", extent.zeroes ? "zeroes" : "data"}});
  }
  std::vector<restore::Notice> notices = from.notices;
  for (const restore::Notice& notice : to.notices) {
    if (std::find(notices.begin(), notices.end(), notice) == notices.end())
      notices.push_back(notice);
  }
  return {{"volume", volume_document(to.volume, zone)},
          {"from", stamp_document(from.at, zone)},
          {"to", stamp_document(to.at, zone)},
          {"from_size_bytes", from.volume.size_bytes},
          {"to_size_bytes", to.volume.size_bytes},
          {"changed_bytes", difference.bytes},
          {"zeroed_bytes", difference.zeroed_bytes},
          {"extents", std::move(extents)},
          {"extents_left_out", difference.extents_left_out},
          {"notices", notices_document(notices)}};
}

json::object segments_document(const std::vector<journal::SegmentInfo>& segments,
                               SegmentWindow window, const TimeZone& zone) {
  static constexpr std::string_view kStates[] = {"open", "sealed", "cut"};
  json::array listed;
  std::uint64_t oldest = 1;
  for (auto at = segments.rbegin(); at != segments.rend() && listed.size() < window.limit; ++at) {
    if (window.before && at->number >= *window.before) continue;
    oldest = at->number;
    listed.push_back({{"number", at->number},
                      {"epoch", at->epoch},
                      {"base_lsn", at->base_lsn.value},
                      {"created", restore::format_time(at->created, zone)},
                      {"bytes", at->length_bytes},
                      {"state", kStates[static_cast<std::size_t>(at->end)]}});
  }
  json::object document{{"segments", std::move(listed)}};
  if (oldest > 1) document["before"] = oldest;
  return document;
}

json::object verify_document(const journal::VerifyReport& report, bool deep) {
  json::array problems;
  for (const std::string& problem : report.problems) problems.emplace_back(problem);
  return {{"ok", report.ok()},
          {"deep", deep},
          {"segments", report.segments},
          {"frames", report.frames},
          {"records", report.records},
          {"runs", report.runs},
          {"blocks", report.blocks},
          {"references", report.references},
          {"bytes", report.bytes},
          {"bytes_read", report.bytes_read},
          {"last_lsn", report.last_lsn.value},
          {"crashes", report.crashes},
          {"unsigned_segments", report.unsigned_segments},
          {"problems", std::move(problems)},
          {"problems_left_out", report.problems_left_out}};
}

}  // namespace tools::api
