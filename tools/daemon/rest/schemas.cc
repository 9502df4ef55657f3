// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/schemas.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <cctype>
#include <string>
#include <vector>

namespace tools {
namespace {

namespace json = boost::json;

struct Field {
  std::string_view name;  // with a ? behind it where it may be missing
  // text, time, integer, signed, flag; a schema; [one of these] for a list of it; one|another for
  // texts of which it is one
  std::string_view type;
  std::string_view meaning{};
};

struct Schema {
  std::string_view name;
  std::string_view meaning;
  std::vector<Field> fields;
};

std::vector<Field> extended(std::vector<Field> fields, const std::vector<Field>& more) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

std::vector<Schema> make_schemas() {
  const std::vector<Field> stamp = {
      {"lsn", "integer", "Place in the one sequence of the appliance"},
      {"time", "time", "In the zone that the request named"},
      {"time_utc", "time"},
  };
  const std::vector<Field> mark = extended(
      stamp,
      {{"label", "text"}, {"author", "text"}, {"volume", "text or null", "Null: of all volumes"}});
  const std::vector<Field> surroundings = {
      {"asked_time?", "time", "Where a time was asked for"},
      {"first", "Stamp", "The first point of the volume's history"},
      {"last", "Stamp", "The last one"},
      {"nearest_mark?", "NearMark"},
      {"nearest_gap?", "NearGap"},
      {"notices", "[Notice]"},
  };
  const std::vector<Field> point =
      extended({{"volume", "Volume", "As it was there"}, {"point", "Stamp"}}, surroundings);
  const std::vector<Field> token = {
      {"id", "text"},
      {"user", "text", "For whom it stands"},
      {"label", "text", "What it is for"},
      {"roles", "[text]", "Those of the user's that it has"},
      {"sees_data", "flag"},
      {"created", "Stamp"},
      {"expires", "time"},
  };
  const std::vector<Field> volume = {
      {"id", "text", "Names it for ever, as id:ID"},
      {"name", "text"},
      {"size_bytes", "integer"},
      {"backing", "text", "As it was named at its creation; empty: the daemon's own"},
      {"created", "Stamp"},
      {"removed?", "Stamp"},
      {"checkpoint_lsn", "integer", "A start replays what came later"},
      {"backing_path?", "text"},
      {"state?", "protected|hydrating|fenced|unavailable"},
      {"problem?", "text", "Why it is fenced or unavailable"},
      {"uris?", "[text]", "Where NBD clients find it"},
      {"hydration?", "Hydration"},
      {"writers_refused?", "flag", "Since a rollback that disconnected them, until it is resumed"},
      {"dirty_bytes?", "integer", "Not written back yet"},
      {"last_lsn?", "integer", "Of its newest change"},
      {"lag_ns?", "integer", "How old its oldest change is that a crash would lose now; 0: none"},
      {"written_bytes?", "integer", "By clients, since the daemon's start"},
      {"read_bytes?", "integer"},
      {"gap?", "Gap", "Which is not over"},
      {"connections?", "integer"},
  };
  return {
      {"Problem",
       "What went wrong (RFC 9457)",
       {{"type", "text"},
        {"title", "text"},
        {"status", "integer", "As the HTTP status"},
        {"detail", "text", "A sentence for the operator: what failed, on what, why, what to do"}}},
      {"Notice",
       "Something to know about an answer that is right all the same",
       {{"kind", "text", "crash, damage or gap"}, {"message", "text"}}},
      {"Stamp", "A place in history", stamp},
      {"Volume", "A volume. What only a running daemon knows is missing of one that was removed",
       volume},
      {"Hydration",
       "How far a volume is that is completed behind",
       {{"remaining_bytes", "integer"},
        {"hydrated_bytes", "integer"},
        {"problem?", "text", "Why it pauses"}}},
      {"Volumes",
       "By name",
       {{"volumes", "[Volume]"}, {"after?", "text", "Where there are more: for the next page"}}},
      {"Mark", "A named point", mark},
      {"NearMark", "The mark that is nearest to a point",
       extended(mark, {{"distance_ns", "signed", "Negative: the point is before it"},
                       {"distance", "text"}})},
      {"NearGap",
       "The gap that is nearest to a point: writes to the volume bypassed the journal",
       {{"cause", "text"},
        {"begin", "Stamp", "The first point inside"},
        {"end?", "Stamp", "The first whole one behind; missing: it is not over"},
        {"distance_ns", "signed", "Negative: the point is before it"},
        {"distance", "text"}}},
      {"Gap",
       "Writes to the volume bypass the journal",
       {{"cause", "text"}, {"begin", "Stamp", "The first point inside"}}},
      {"Marks",
       "By their places in history",
       {{"marks", "[Mark]"}, {"after?", "integer", "Where there are more: for the next page"}}},
      {"NewMark", "The mark that was made",
       extended(stamp, {{"label", "text"}, {"author", "text"}})},
      {"Points", "The ends of a volume's history and its marks; or the point that was asked for",
       extended({{"volume", "Volume"},
                 {"marks?", "[Mark]", "Where no point was asked for"},
                 {"point?", "Stamp"}},
                surroundings)},
      {"Timeline",
       "What happened to a volume, in equal steps of time",
       {{"volume", "Volume"},
        {"since", "time"},
        {"until", "time"},
        {"step_seconds", "integer"},
        {"steps", "[TimelineStep]", "Those in which something happened"},
        {"events", "[TimelineEvent]", "By their places in history"},
        {"notices", "[Notice]"}}},
      {"TimelineStep",
       "What happened to a volume from a moment on; what is missing is not known",
       {{"begin", "time", "A multiple of the steps' length since 1970"},
        {"writes", "integer"},
        {"flushes", "integer"},
        {"written_bytes", "integer", "Of the blocks that were written"},
        {"zeroed_bytes", "integer"},
        {"trimmed_bytes", "integer"},
        {"unique_bytes", "integer", "Of those written: neither zeroes nor held by the vault"},
        {"stored_bytes", "integer", "Of the unique ones, after compression"},
        {"overwritten_percent?", "integer",
         "Of the written blocks, those that held data before; an estimate"},
        {"entropy_percent?", "integer", "Of the unique bytes; 100 is noise; an estimate"},
        {"p99_us?", "integer", "99 of 100 writes were answered within so many microseconds"},
        {"p99_is_more?", "flag", "Or it took longer: there is no larger number"}}},
      {"TimelineEvent", "Something beside writes",
       extended(stamp,
                {{"kind", "created|removed|mark|rollback|gap|crash"},
                 {"text", "text",
                  "The mark's label, the gap's cause, where a rollback went, what a crash took"},
                 {"until?", "time", "Of a gap that is over"}})},
      {"NewVolume", "The volume that was made",
       extended(volume, {{"origin?", "Point", "Of one that was made from a point"}})},
      {"Point", "A point of a volume", point},
      {"View", "Where a past point is served, read-only, while somebody is connected",
       extended(point, {{"uris", "[text]"}})},
      {"Client",
       "Who is connected by NBD",
       {{"peer", "text", "From where; with the name that it has proved, by TLS"},
        {"export", "text", "As it has named it"},
        {"kind", "volume|view|clone"},
        {"volume?", "text", "Its name now"},
        {"volume_id?", "text"},
        {"lsn?", "integer", "Of a view or a clone: the point"},
        {"read_only", "flag"},
        {"encrypted", "flag"},
        {"since", "time"}}},
      {"Clients", "In the order of their coming", {{"clients", "[Client]"}}},
      {"OpenView",
       "A point that clients see",
       {{"id", "text", "VOLUME_ID@lsn:N"},
        {"volume?", "text", "Its name now"},
        {"volume_id?", "text"},
        {"lsn", "integer"},
        {"time_utc?", "time", "Of the point"},
        {"size_bytes", "integer"},
        {"clients", "integer"},
        {"opened", "time"},
        {"uris", "[text]"}}},
      {"OpenViews", "By volume and point", {{"views", "[OpenView]"}}},
      {"ClosedView", "The view whose clients were disconnected", {{"id", "text"}}},
      {"Clone",
       "A writable device at a point; what is written is kept aside, and not protected",
       {{"name", "text"},
        {"id", "text"},
        {"volume", "text", "Its name now"},
        {"volume_id", "text"},
        {"lsn", "integer"},
        {"size_bytes", "integer"},
        {"created_utc", "time"},
        {"uris", "[text]"}}},
      {"Clones", "All of them", {{"clones", "[Clone]"}}},
      {"NewClone", "The clone that was made", extended(point, {{"clone", "Clone"}})},
      {"RemovedClone", "The clone that was removed", {{"name", "text"}}},
      {"Rollback", "A rollback that is done, or (dry_run) what it would change",
       extended({{"point", "Stamp"},
                 {"volumes", "[RolledBack]"},
                 {"dry_run", "flag"},
                 {"changed_bytes?", "integer", "Of a dry run: what differs now"},
                 {"rollback?", "Stamp", "Its own place in history"},
                 {"undo?", "text", "The point that undoes it: lsn:N"},
                 {"writers_refused?", "flag"}},
                surroundings)},
      {"RolledBack",
       "A volume of a rollback",
       {{"name", "text"},
        {"id", "text"},
        {"size_bytes", "integer", "At the point"},
        {"writers", "integer", "Connected clients that may write"},
        {"changed_bytes?", "integer", "Of a dry run"}}},
      {"Extent",
       "Bytes that differ",
       {{"offset", "integer"}, {"bytes", "integer"}, {"becomes", "data|zeroes"}}},
      {"Diff",
       "What changed between two points",
       {{"volume", "Volume"},
        {"from", "Stamp"},
        {"to", "Stamp"},
        {"from_size_bytes", "integer"},
        {"to_size_bytes", "integer"},
        {"changed_bytes", "integer"},
        {"zeroed_bytes", "integer", "Of them, those that are zeroes at the second point"},
        {"extents", "[Extent]"},
        {"extents_left_out", "integer", "Behind those"},
        {"notices", "[Notice]"}}},
      {"Job",
       "Long work of the daemon",
       {{"id", "integer", "Never given twice"},
        {"kind", "verify|hydration|restore|check"},
        {"state", "running|done|failed|cancelled|interrupted",
         "Interrupted: the daemon ended before it did"},
        {"volume?", "text", "Its name when the job began"},
        {"volume_id?", "text"},
        {"by", "text", "Who began it"},
        {"began", "time"},
        {"ended?", "time"},
        {"done_bytes", "integer"},
        {"total_bytes?", "integer", "Where that is known"},
        {"bytes_per_second?", "integer", "Lately"},
        {"seconds_left?", "integer", "At that rate"},
        {"is_being_cancelled?", "flag"},
        {"problem?", "text", "Why it is not done, in a sentence"},
        {"doing?", "text", "What a check is at, in words"},
        {"verification?", "Verification", "Of one that is done"},
        {"check?", "Check", "Of one that is done"}}},
      {"Jobs",
       "The newest first",
       {{"jobs", "[Job]"},
        {"before?", "integer", "Where there are older ones: for the next page"}}},
      {"Verification",
       "What verify found",
       {{"ok", "flag"},
        {"deep", "flag", "Whether every body was read again and hashed"},
        {"segments", "integer"},
        {"frames", "integer"},
        {"records", "integer"},
        {"runs", "integer"},
        {"blocks", "integer"},
        {"references", "integer"},
        {"bytes", "integer"},
        {"bytes_read", "integer"},
        {"last_lsn", "integer"},
        {"crashes", "integer"},
        {"unsigned_segments", "integer"},
        {"problems", "[text]"},
        {"problems_left_out", "integer"}}},
      {"Check",
       "What is in a volume at a point, and whether its file systems are sound there",
       {{"point", "Stamp"},
        {"size_bytes", "integer", "Of the volume there"},
        {"partition_table", "PartitionTable or null"},
        {"file_systems", "[FileSystem]", "And whatever else is in the volume or its partitions"},
        {"nothing_known", "flag",
         "There is neither a partition table nor anything that has a name"},
        {"notices", "[Notice]", "Of the point"}}},
      {"PartitionTable",
       "How the volume is divided",
       {{"type", "text", "gpt, dos"}, {"id", "text", "Empty where it has none"}}},
      {"FileSystem",
       "What is in a volume, or in one of its partitions",
       {{"offset", "integer"},
        {"bytes", "integer"},
        {"partition?", "integer", "Its number"},
        {"type", "text", "As libblkid names it; unknown where it does not"},
        {"label?", "text"},
        {"uuid?", "text"},
        {"tool?", "text", "What has looked at it, or would have"},
        {"outcome", "clean|recovered|damaged|needs_mount|not_checked",
         "Recovered: clean once its journal was replayed, as a mount would have done. Needs a "
         "mount: "
         "that alone replays it"},
        {"reason?", "text", "Why it is not checked, or needs a mount"},
        {"output?", "text",
         "The end of what the tool said; for those who may see data, and not among events"}}},
      {"SetUp",
       "What becomes of an appliance nobody has signed in to",
       {{"first_start", "flag", "No user was ever made: the first one wants the code of the log"}}},
      {"User",
       "Who may sign in",
       {{"name", "text"},
        {"roles", "[text]", "Of viewer, operator, restorer, admin"},
        {"sees_data", "flag", "Whether he may see what volumes hold"},
        {"changed", "Stamp", "Since then he is as he is"}}},
      {"Users", "By name", {{"users", "[User]"}}},
      {"RemovedUser", "The user who was removed", {{"name", "text"}}},
      {"Session",
       "Who one is here",
       {{"user", "text", "A user's name, or that of a process at the control socket"},
        {"roles", "[text]"},
        {"sees_data", "flag"},
        {"by", "process|session|token|nobody"},
        {"csrf_token?", "text", "Of a session: for X-CSRF-Token"},
        {"expires?", "time", "Of a session, without another request; of a token"}}},
      {"Token", "What stands for a user", token},
      {"NewToken", "A token that was made, to be kept: it is not shown again",
       extended(token, {{"token", "text"}})},
      {"Tokens", "Those that have not expired", {{"tokens", "[Token]"}}},
      {"RevokedToken", "The token that was ended", {{"id", "text"}}},
      {"AuditEntry", "Something that somebody did, or was refused",
       extended(stamp, {{"actor", "text", "Who"},
                        {"origin", "text", "From where"},
                        {"act", "text", "What: the operation's id"},
                        {"detail", "text", "On what, and how: a JSON object"},
                        {"status", "integer", "How it ended: the HTTP status"}})},
      {"Audit",
       "Who did what, the newest first",
       {{"audit", "[AuditEntry]"},
        {"before?", "integer", "Where there may be older ones: for the next page"},
        {"notices?", "[Notice]"}}},
      {"Alert",
       "What an operator has to know, or had to",
       {{"kind", "text"},
        {"severity", "critical|warning", "Critical: writes are refused, or something is lost"},
        {"message", "text", "A sentence"},
        {"since", "time"},
        {"ended?", "time", "Of one that is over"},
        {"volume?", "text", "That it is about, by its name now"},
        {"volume_id?", "text"}}},
      {"Alerts", "Those that hold, and then those that are over", {{"alerts", "[Alert]"}}},
      {"Segment",
       "A file of the journal",
       {{"number", "integer", "From 1 on, without gaps"},
        {"epoch", "integer", "One more after each cut"},
        {"base_lsn", "integer", "Its records are newer"},
        {"created", "time"},
        {"bytes", "integer"},
        {"state", "open|sealed|cut", "Cut: by a crash or a failed append"}}},
      {"Segments",
       "The newest first",
       {{"segments", "[Segment]"},
        {"before?", "integer", "Where there are older ones: for the next page"}}},
      {"ChainHead",
       "The newest durable frame of the journal. Its digest stands for all of history before it: "
       "kept "
       "elsewhere, it shows whether that was rewritten",
       {{"segment", "integer"},
        {"sequence", "integer", "Of the frame"},
        {"lsn", "integer", "Of the newest change up to there"},
        {"time_utc?", "time", "Of that"},
        {"digest", "text", "SHA-256, 64 digits"}}},
      {"ToldAlert", "The webhook has been told", {{"told", "flag"}}},
      {"Status",
       "The appliance now",
       {{"vault", "Vault"},
        {"history", "HistoryHeld"},
        {"volumes", "[Volume]"},
        {"journal", "JournalCounters"},
        {"index", "IndexCounters"},
        {"alerts", "[text]", "What an operator has to know now, the gravest first"},
        {"rpo_objective_ns", "integer", "alerts.rpo of the configuration; 0: none"},
        {"notices?", "[Notice]"},
        {"server", "Server"}}},
      {"Vault",
       "Where history is kept",
       {{"id", "text"},
        {"format_version", "integer"},
        {"created", "time"},
        {"free_bytes?", "integer", "What its file system has room for"}}},
      {"HistoryHeld",
       "How much history there is",
       {{"newest", "Stamp"},
        {"segments", "integer"},
        {"bytes", "integer"},
        {"crashes", "integer"}}},
      {"Server",
       "The daemon",
       {{"version", "text"}, {"vault_path", "text"}, {"state_path", "text"}}},
      {"JournalCounters",
       "Of the journal, since the daemon's start",
       {{"client_bytes", "integer", "Written by clients"},
        {"unique_bytes", "integer", "Left of these after deduplication"},
        {"stored_bytes", "integer", "Left of these after compression"},
        {"journal_bytes", "integer", "Appended, with everything about them"},
        {"frames", "integer"},
        {"records", "integer"},
        {"syncs", "integer"},
        {"zero_blocks", "integer"},
        {"same_blocks", "integer"},
        {"duplicate_blocks", "integer"},
        {"dedup_reads", "integer"},
        {"queued_blocks", "integer"},
        {"recorded_lsn", "integer"},
        {"durable_lsn", "integer"},
        {"lag_ns", "integer", "How old the oldest change is that a crash would lose now"},
        {"head", "ChainHead"}}},
      {"IndexCounters",
       "Of the time index",
       {{"lsn", "integer", "It covers history up to here"},
        {"runs", "integer"},
        {"entries", "integer"},
        {"bytes", "integer"},
        {"merges", "integer"},
        {"repairs", "integer"},
        {"open_views", "integer"},
        {"oldest_leased_lsn?", "integer"}}},
  };
}

json::object with_meaning(json::object schema, std::string_view meaning) {
  if (!meaning.empty()) schema["description"] = meaning;
  return schema;
}

json::object schema_of(std::string_view type) {
  constexpr std::string_view kOrNull = " or null";
  if (type.starts_with('[')) {
    return {{"type", "array"}, {"items", schema_of(type.substr(1, type.size() - 2))}};
  }
  if (type.ends_with(kOrNull)) {
    json::object schema = schema_of(type.substr(0, type.size() - kOrNull.size()));
    if (schema.contains("$ref"))
      return {{"anyOf", json::array{std::move(schema), json::object{{"type", "null"}}}}};
    schema["type"] = json::array{schema["type"], "null"};
    return schema;
  }
  if (type == "text") return {{"type", "string"}};
  if (type == "time") return {{"type", "string"}, {"format", "date-time"}};
  if (type == "integer") return {{"type", "integer"}, {"minimum", 0}};
  if (type == "signed") return {{"type", "integer"}};
  if (type == "flag") return {{"type", "boolean"}};
  if (std::isupper(static_cast<unsigned char>(type.front())) != 0) return schema_reference(type);
  json::array choices;
  for (std::size_t at = 0; at <= type.size();) {
    const std::size_t end = std::min(type.find('|', at), type.size());
    choices.emplace_back(type.substr(at, end - at));
    at = end + 1;
  }
  return {{"type", "string"}, {"enum", std::move(choices)}};
}

json::object schema_of(const Schema& schema) {
  json::object properties;
  json::array required;
  for (const Field& field : schema.fields) {
    std::string_view name = field.name;
    if (name.ends_with('?'))
      name.remove_suffix(1);
    else
      required.emplace_back(name);
    properties[name] = with_meaning(schema_of(field.type), field.meaning);
  }
  return with_meaning({{"type", "object"},
                       {"properties", std::move(properties)},
                       {"required", std::move(required)}},
                      schema.meaning);
}

}  // namespace

json::object schema_reference(std::string_view name) {
  return {{"$ref", fmt::format("#/components/schemas/{}", name)}};
}

json::object answer_schemas() {
  json::object schemas;
  for (const Schema& schema : make_schemas()) schemas[schema.name] = schema_of(schema);
  return schemas;
}

}  // namespace tools
