// SPDX-License-Identifier: Apache-2.0
//
// How documents look to a person: sizes with units, moments in the local zone and in UTC. Results
// go to stdout; what is said beside them goes to stderr.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "restore/time_zone.h"

namespace tools::cli {

// Members of documents, with a fallback where one is missing or of another type.
std::string text_of(const boost::json::object& document, std::string_view key);
std::uint64_t number_of(const boost::json::object& document, std::string_view key);
const boost::json::object* object_of(const boost::json::object& document, std::string_view key);
const boost::json::array* array_of(const boost::json::object& document, std::string_view key);

// "2020-02-23 18:56:00.5 +08:00" of a document's "time_utc"; "?" where it has none.
std::string local_time_of(const boost::json::object& stamp, const restore::TimeZone& zone);
// The same without a fraction, for lists.
std::string local_second_of(const boost::json::object& stamp, const restore::TimeZone& zone);
// "lsn:7  2020-02-23 18:56:00 +08:00  (2020-02-23 10:56:00 UTC)"
std::string stamp_text_of(const boost::json::object& stamp, const restore::TimeZone& zone);

std::string volume_table(const boost::json::array& volumes, const restore::TimeZone& zone);
std::string volume_fields(const boost::json::object& volume, const restore::TimeZone& zone);
// A point as it was resolved: volume, LSN, local time, UTC, marks, history.
std::string point_fields(const boost::json::object& point, const restore::TimeZone& zone);
std::string points_overview(const boost::json::object& points, const restore::TimeZone& zone);
std::string status_text(const boost::json::object& status, const restore::TimeZone& zone);
// What a check of a point found: the point, and a table of file systems.
std::string check_text(const boost::json::object& check, const restore::TimeZone& zone);
std::string verify_text(const boost::json::object& report);

void print(std::string_view text);                // stdout
void say(std::string_view sentence);              // stderr, after the program's name
void print_document(const boost::json::object&);  // stdout, on one line

}  // namespace tools::cli
