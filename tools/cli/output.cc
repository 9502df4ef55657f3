// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/output.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <optional>
#include <utility>

#include "restore/point.h"
#include "restore/target_file.h"
#include "tools/cli/table.h"

namespace tools::cli {
namespace {

namespace json = boost::json;
using restore::format_bytes;
using restore::TimeZone;

std::string state_of(const json::object& volume) {
  if (object_of(volume, "removed") != nullptr) return "removed";
  const std::string state = text_of(volume, "state");
  return state.empty() ? "-" : state;
}

std::optional<cdp::Nanos> time_of(const json::object& stamp) {
  const auto point = restore::parse_absolute_point(text_of(stamp, "time_utc"));
  if (!point.ok() || point->kind != restore::PointKind::kTime) return std::nullopt;
  return point->time;
}

std::string mark_text(const json::object& mark) {
  const json::value* volume = mark.if_contains("volume");
  const bool of_all = volume == nullptr || volume->is_null();
  return of_all ? "all volumes" : text_of(mark, "volume");
}

}  // namespace

std::string text_of(const json::object& document, std::string_view key) {
  const json::value* value = document.if_contains(key);
  return value != nullptr && value->is_string() ? std::string{value->as_string()} : std::string{};
}

std::uint64_t number_of(const json::object& document, std::string_view key) {
  const json::value* value = document.if_contains(key);
  if (value == nullptr || !value->is_number()) return 0;
  boost::system::error_code failed;
  const std::uint64_t number = value->to_number<std::uint64_t>(failed);
  return failed ? 0 : number;
}

const json::object* object_of(const json::object& document, std::string_view key) {
  const json::value* value = document.if_contains(key);
  return value != nullptr ? value->if_object() : nullptr;
}

const json::array* array_of(const json::object& document, std::string_view key) {
  const json::value* value = document.if_contains(key);
  return value != nullptr ? value->if_array() : nullptr;
}

std::string local_time_of(const json::object& stamp, const TimeZone& zone) {
  const auto time = time_of(stamp);
  return time ? restore::format_time_short(*time, zone) : "?";
}

std::string local_second_of(const json::object& stamp, const TimeZone& zone) {
  const auto time = time_of(stamp);
  if (!time) return "?";
  return restore::format_time_short({time->value - time->value % cdp::seconds(1).value}, zone);
}

std::string stamp_text_of(const json::object& stamp, const TimeZone& zone) {
  return fmt::format("lsn:{}  {}  ({})", number_of(stamp, "lsn"), local_time_of(stamp, zone),
                     local_time_of(stamp, TimeZone::utc()));
}

std::string volume_table(const json::array& volumes, const TimeZone& zone) {
  Table table{{"NAME", "SIZE", "STATE", "CREATED", "ID"}};
  table.spare("ID").keep("NAME");
  for (const json::value& value : volumes) {
    const json::object* volume = value.if_object();
    if (volume == nullptr) continue;
    const json::object* created = object_of(*volume, "created");
    table.add({text_of(*volume, "name"), format_bytes(number_of(*volume, "size_bytes")),
               state_of(*volume), created != nullptr ? local_second_of(*created, zone) : "?",
               text_of(*volume, "id")});
  }
  return table.text();
}

std::string volume_fields(const json::object& volume, const TimeZone& zone) {
  Fields fields;
  fields.add("volume", text_of(volume, "name"));
  fields.add("id", text_of(volume, "id"));
  fields.add("size", fmt::format("{} ({} bytes)", format_bytes(number_of(volume, "size_bytes")),
                                 number_of(volume, "size_bytes")));
  if (const std::string state = state_of(volume); state != "-") fields.add("state", state);
  if (const json::object* hydration = object_of(volume, "hydration")) {
    fields.add("to be copied", fmt::format("{} at most; all of it can be used meanwhile",
                                           format_bytes(number_of(*hydration, "remaining_bytes"))));
    if (const std::string problem = text_of(*hydration, "problem"); !problem.empty()) {
      fields.add("copying waits", problem);
    }
  }
  if (const json::value* refused = volume.if_contains("writers_refused");
      refused != nullptr && refused->is_bool() && refused->get_bool()) {
    fields.add("writers", "refused since a rollback, until `hindsight volume resume`");
  }
  if (const std::string problem = text_of(volume, "problem"); !problem.empty()) {
    fields.add("problem", problem);
  }
  if (const json::array* uris = array_of(volume, "uris")) {
    for (const json::value& uri : *uris) {
      if (uri.is_string()) fields.add("uri", std::string{uri.as_string()});
    }
  }
  std::string backing = text_of(volume, "backing_path");
  if (backing.empty()) backing = text_of(volume, "backing");
  fields.add("backing",
             backing.empty() ? "the default, under the daemon's state directory" : backing);
  if (volume.contains("connections")) {
    fields.add("connections", std::to_string(number_of(volume, "connections")));
  }
  if (volume.contains("dirty_bytes")) {
    fields.add("not yet written back", format_bytes(number_of(volume, "dirty_bytes")));
  }
  if (const json::object* created = object_of(volume, "created")) {
    fields.add("created", stamp_text_of(*created, zone));
  }
  if (const json::object* removed = object_of(volume, "removed")) {
    fields.add("removed", stamp_text_of(*removed, zone));
  }
  fields.add("checkpoint", fmt::format("lsn:{}", number_of(volume, "checkpoint_lsn")));
  return fields.text();
}

std::string point_fields(const json::object& point, const TimeZone& zone) {
  Fields fields;
  if (const json::object* volume = object_of(point, "volume")) {
    fields.add("volume",
               fmt::format("{} (id:{}), {}", text_of(*volume, "name"), text_of(*volume, "id"),
                           format_bytes(number_of(*volume, "size_bytes"))));
  }
  if (const json::object* at = object_of(point, "point")) {
    fields.add("point", fmt::format("lsn:{}", number_of(*at, "lsn")));
    fields.add("newest write", local_time_of(*at, zone));
    fields.add("in UTC", local_time_of(*at, TimeZone::utc()));
  }
  const auto asked = restore::parse_absolute_point(text_of(point, "asked_time"));
  if (asked.ok() && asked->kind == restore::PointKind::kTime) {
    fields.add("asked for", fmt::format("{}  ({})", restore::format_time_short(asked->time, zone),
                                        restore::format_time_short(asked->time, TimeZone::utc())));
  }
  if (const json::object* mark = object_of(point, "nearest_mark")) {
    fields.add("nearest mark", fmt::format("{} (lsn:{}), the point is {}", text_of(*mark, "label"),
                                           number_of(*mark, "lsn"), text_of(*mark, "distance")));
  }
  if (const json::object* gap = object_of(point, "nearest_gap")) {
    const json::object* begin = object_of(*gap, "begin");
    fields.add("nearest gap", fmt::format("from {} on ({}), the point is {}",
                                          begin != nullptr ? stamp_text_of(*begin, zone) : "?",
                                          text_of(*gap, "cause"), text_of(*gap, "distance")));
  }
  return fields.text();
}

std::string points_overview(const json::object& points, const TimeZone& zone) {
  Fields fields;
  if (const json::object* volume = object_of(points, "volume")) {
    fields.add("volume",
               fmt::format("{} (id:{}), {}", text_of(*volume, "name"), text_of(*volume, "id"),
                           format_bytes(number_of(*volume, "size_bytes"))));
  }
  for (const char* end : {"first", "last"}) {
    if (const json::object* stamp = object_of(points, end)) {
      fields.add(end, stamp_text_of(*stamp, zone));
    }
  }
  std::string text = fields.text();
  const json::array* marks = array_of(points, "marks");
  if (marks == nullptr || marks->empty()) return text + "no marks\n";
  Table table{{"MARK", "LSN", "TIME", "OF", "BY"}};
  table.spare("BY").keep("MARK").keep("TIME");
  for (const json::value& value : *marks) {
    const json::object* mark = value.if_object();
    if (mark == nullptr) continue;
    table.add({text_of(*mark, "label"), std::to_string(number_of(*mark, "lsn")),
               local_second_of(*mark, zone), mark_text(*mark), text_of(*mark, "author")});
  }
  return text + "\n" + table.text();
}

std::string status_text(const json::object& status, const TimeZone& zone) {
  Fields fields;
  if (const json::object* server = object_of(status, "server")) {
    fields.add("daemon",
               fmt::format("version {}, vault {}, state {}", text_of(*server, "version"),
                           text_of(*server, "vault_path"), text_of(*server, "state_path")));
  }
  if (const json::object* vault = object_of(status, "vault")) {
    fields.add("vault", fmt::format("id:{}, format version {}", text_of(*vault, "id"),
                                    number_of(*vault, "format_version")));
  }
  if (const json::object* history = object_of(status, "history")) {
    if (const json::object* newest = object_of(*history, "newest")) {
      fields.add("newest record", stamp_text_of(*newest, zone));
    }
    fields.add(
        "history",
        fmt::format("{} in {} segments, {} crashes", format_bytes(number_of(*history, "bytes")),
                    number_of(*history, "segments"), number_of(*history, "crashes")));
  }
  if (const json::object* journal = object_of(status, "journal")) {
    const std::uint64_t lag_ns = number_of(*journal, "lag_ns");
    fields.add(
        "lag",
        fmt::format("{} (what a crash of the appliance would lose now)",
                    restore::format_duration(restore::Nanos{static_cast<std::int64_t>(lag_ns)})));
    const double client = static_cast<double>(number_of(*journal, "client_bytes"));
    const double written = static_cast<double>(number_of(*journal, "journal_bytes"));
    fields.add("since start", fmt::format("{} written by clients, {} appended to the journal{}",
                                          format_bytes(number_of(*journal, "client_bytes")),
                                          format_bytes(number_of(*journal, "journal_bytes")),
                                          client > 0 ? fmt::format(" ({:.2f}x)", written / client)
                                                     : std::string{}));
  }
  std::string text = fields.text();
  const json::array* volumes = array_of(status, "volumes");
  if (volumes == nullptr || volumes->empty()) return text + "no volumes\n";
  return text + "\n" + volume_table(*volumes, zone);
}

std::string verify_text(const json::object& report) {
  Fields fields;
  const json::value* ok = report.if_contains("ok");
  const json::value* deep = report.if_contains("deep");
  const bool fine = ok != nullptr && ok->is_bool() && ok->as_bool();
  const bool is_deep = deep != nullptr && deep->is_bool() && deep->as_bool();
  fields.add("result", !fine     ? "PROBLEMS WERE FOUND"
                       : is_deep ? "every byte is what was written"
                                 : "the chain of digests is unbroken (--deep reads every byte)");
  fields.add("looked at", fmt::format("{} segments, {} frames, {} records up to lsn:{}, {}",
                                      number_of(report, "segments"), number_of(report, "frames"),
                                      number_of(report, "records"), number_of(report, "last_lsn"),
                                      format_bytes(number_of(report, "bytes"))));
  if (is_deep) {
    fields.add("read",
               fmt::format("{}, {} runs, {} blocks, {} references",
                           format_bytes(number_of(report, "bytes_read")), number_of(report, "runs"),
                           number_of(report, "blocks"), number_of(report, "references")));
  }
  fields.add("crashes", std::to_string(number_of(report, "crashes")));
  return fields.text();
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void say(std::string_view sentence) {
  std::fprintf(stderr, "hindsight: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
}

void print_document(const json::object& document) { print(json::serialize(document) + "\n"); }

}  // namespace tools::cli
