// SPDX-License-Identifier: Apache-2.0
//
// The verbs that bring points back: view, clone, recover, rollback, diff.
#include <unistd.h>

#include <boost/json/array.hpp>
#include <cstdio>
#include <string>
#include <utility>

#include "restore/target_file.h"
#include "tools/cli/output.h"
#include "tools/cli/table.h"
#include "tools/cli/verb_support.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

namespace json = boost::json;
using cdp::Result;
using restore::format_bytes;
using restore::TimeZone;
using Document = Backend::Document;

// The first URI of an export, on a line of its own.
void print_uri(const Document& document) {
  const json::array* uris = array_of(document, "uris");
  if (uris == nullptr || uris->empty() || !uris->front().is_string()) return;
  print(std::string{uris->front().as_string()} + "\n");
}

// Says what a point was found to be, beside the result.
void say_point(const Document& document, const TimeZone& zone) {
  const json::object* point = object_of(document, "point");
  const json::object* volume = object_of(document, "volume");
  if (point == nullptr) return;
  say(fmt::format("{} at {}", volume != nullptr ? text_of(*volume, "name") : "the point",
                  stamp_text_of(*point, zone)));
}

// Does `one` for each volume, all at the point of the first; the gravest exit code.
template <typename One, typename Show>
int for_each_name(const CommandLine& line, const TimeZone& zone, One one, Show show) {
  Result<std::optional<restore::Point>> asked = asked_point(line, zone);
  if (!asked.ok()) {
    say(asked.error().message);
    return kWrongUsage;
  }
  restore::Point point = **asked;
  json::array documents;
  int code = kDone;
  for (std::size_t i = 0; i < line.names.size(); ++i) {
    const Backend::Reply reply = one(line.names[i], point, i);
    if (!reply.ok()) return failed(reply.error());
    // Of a new volume, the point that it was made from.
    const json::object* const origin = object_of(*reply, "origin");
    const Document& found = origin != nullptr ? *origin : *reply;
    if (i == 0) point = same_point(found, point);
    if (line.json)
      documents.push_back(*reply);
    else
      show(*reply);
    code = std::max(code, with_notices(found));
  }
  if (line.json)
    print_document(line.names.size() == 1 ? documents[0].as_object()
                                          : Document{{"points", documents}});
  return code;
}

int show_clones(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  const Backend::Reply reply = backend.clones();
  if (!reply.ok()) return failed(reply.error());
  const json::array* clones = array_of(*reply, "clones");
  if (line.json) {
    print_document(*reply);
  } else if (clones == nullptr || clones->empty()) {
    say("there are no clones: `hindsight clone NAME --at POINT --as NEW` makes one");
  } else {
    Table table{{"NAME", "OF", "POINT", "SIZE", "CREATED"}};
    table.keep("NAME");
    for (const json::value& value : *clones) {
      const json::object& clone = value.as_object();
      const json::object created{{"time_utc", text_of(clone, "created_utc")}};
      table.add({text_of(clone, "name"), text_of(clone, "volume"),
                 fmt::format("lsn:{}", number_of(clone, "lsn")),
                 format_bytes(number_of(clone, "size_bytes")), local_second_of(created, zone)});
    }
    print(table.text());
  }
  return kDone;
}

int remove_clone(const CommandLine& line, Backend& backend) {
  const Backend::Reply reply = backend.remove_clone(line.name);
  if (!reply.ok()) return failed(reply.error());
  if (line.json)
    print_document(*reply);
  else
    say(fmt::format("the clone {} is gone, with what was written to it", line.name));
  return kDone;
}

std::string changes_text(const Document& document) {
  std::string text;
  const json::array* volumes = array_of(document, "volumes");
  for (std::size_t i = 0; volumes != nullptr && i < volumes->size(); ++i) {
    const json::object& volume = (*volumes)[i].as_object();
    text += fmt::format("{}: {} of {} may change\n", text_of(volume, "name"),
                        format_bytes(number_of(volume, "changed_bytes")),
                        format_bytes(number_of(volume, "size_bytes")));
  }
  return text;
}

// Asks on the terminal; who is no terminal must have said --yes.
bool is_confirmed() {
  if (isatty(STDIN_FILENO) == 0) {
    say("this changes live volumes: say --yes where nobody can be asked");
    return false;
  }
  std::fputs("Roll back now? [y/N] ", stderr);
  char answer[16] = {};
  if (std::fgets(answer, sizeof answer, stdin) == nullptr) return false;
  return answer[0] == 'y' || answer[0] == 'Y';
}

int roll_back(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  Result<restore::ParsedPoint> parsed = parse_asked(*line.at, line, zone);
  if (parsed.ok() && line.yes) {
    const cdp::Status sound = restore::check_unattended(*parsed, *line.at, zone);
    if (!sound.ok()) parsed = sound.error();
  }
  if (!parsed.ok()) {
    say(parsed.error().message);
    return kWrongUsage;
  }
  // Who is asked sees what would change; a script that said --yes does not wait for the counting.
  const bool asks = !line.dry_run && !line.yes;
  Backend::Rollback wanted{line.names, parsed->point, line.dry_run || asks, line.disconnect};
  Backend::Reply reply = backend.roll_back(wanted);
  if (!reply.ok()) return failed(reply.error());
  if (!line.json || !line.dry_run) say_point(*reply, zone);
  if (asks) {
    std::fputs(changes_text(*reply).c_str(), stderr);
    if (!is_confirmed()) return kFailed;
    wanted.point = same_point(*reply, wanted.point);
    wanted.dry_run = false;
    reply = backend.roll_back(wanted);
    if (!reply.ok()) return failed(reply.error());
  }
  if (line.json) {
    print_document(*reply);
  } else if (line.dry_run) {
    print(changes_text(*reply));
  } else {
    const json::object* rollback = object_of(*reply, "rollback");
    print(fmt::format("rolled back at {}\nundo with: hindsight rollback",
                      rollback != nullptr ? stamp_text_of(*rollback, zone) : "?"));
    for (const std::string& name : line.names) print(" " + name);
    print(fmt::format(" --at {}\n", text_of(*reply, "undo")));
    if (line.disconnect) {
      say("writers are refused until `hindsight volume resume`: unmount on the hosts first, then "
          "resume and mount again");
    }
  }
  return with_notices(*reply);
}

int show_difference(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  Result<restore::ParsedPoint> from = parse_asked(line.from, line, zone);
  Result<restore::ParsedPoint> to = parse_asked(line.until, line, zone);
  if (!from.ok() || !to.ok()) {
    say(from.ok() ? to.error().message : from.error().message);
    return kWrongUsage;
  }
  const Backend::Reply reply = backend.diff(line.name, from->point, to->point);
  if (!reply.ok()) return failed(reply.error());
  if (line.json) {
    print_document(*reply);
    return with_notices(*reply);
  }
  for (const char* end : {"from", "to"}) {
    if (const json::object* stamp = object_of(*reply, end)) {
      say(fmt::format("{:4} {}", end, stamp_text_of(*stamp, zone)));
    }
  }
  const json::array* extents = array_of(*reply, "extents");
  if (extents == nullptr || extents->empty()) {
    say("no block was written in between");
    return with_notices(*reply);
  }
  Table table{{"OFFSET", "BYTES", "BECOMES"}};
  for (const json::value& value : *extents) {
    const json::object& extent = value.as_object();
    table.add({std::to_string(number_of(extent, "offset")),
               std::to_string(number_of(extent, "bytes")), text_of(extent, "becomes")});
  }
  print(table.text());
  const std::uint64_t left_out = number_of(*reply, "extents_left_out");
  say(fmt::format("{} in {} extents, {} of it zeroes now",
                  format_bytes(number_of(*reply, "changed_bytes")), extents->size() + left_out,
                  format_bytes(number_of(*reply, "zeroed_bytes"))));
  if (left_out > 0) {
    say(fmt::format("{} more extents are not listed: an image of each point has them all",
                    left_out));
    return kSomethingToKnow;
  }
  return with_notices(*reply);
}

}  // namespace

int run_recovery_verb(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  switch (line.verb) {
    case Verb::kView:
      return for_each_name(
          line, zone,
          [&](const std::string& name, const restore::Point& point, std::size_t) {
            return backend.view(name, point);
          },
          [&](const Document& view) {
            say_point(view, zone);
            print_uri(view);
          });
    case Verb::kClone:
      return for_each_name(
          line, zone,
          [&](const std::string& name, const restore::Point& point, std::size_t i) {
            return backend.clone(name, point, line.new_names[i]);
          },
          [&](const Document& made) {
            say_point(made, zone);
            if (const json::object* clone = object_of(made, "clone")) print_uri(*clone);
          });
    case Verb::kCloneList:
      return show_clones(line, zone, backend);
    case Verb::kCloneRemove:
      return remove_clone(line, backend);
    case Verb::kRecover:
      return for_each_name(
          line, zone,
          [&](const std::string& name, const restore::Point& point, std::size_t i) {
            return backend.recover(name, point, line.new_names[i], line.backing);
          },
          [&](const Document& volume) {
            if (const json::object* origin = object_of(volume, "origin")) say_point(*origin, zone);
            print_uri(volume);
          });
    case Verb::kRollback:
      return roll_back(line, zone, backend);
    default:
      return show_difference(line, zone, backend);
  }
}

}  // namespace tools::cli
