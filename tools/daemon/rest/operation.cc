// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/operation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace tools {
namespace {

namespace json = boost::json;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using Kind = Parameter::Kind;

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::size_t end = std::min(path.find('/'), path.size());
    segments.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return segments;
}

bool is_variable(std::string_view segment) { return segment.starts_with('{'); }
std::string_view variable_name(std::string_view segment) {
  return segment.substr(1, segment.size() - 2);
}

const Parameter* find(const std::vector<Parameter>& parameters, std::string_view name) {
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [&](const Parameter& one) { return one.name == name; });
  return found == parameters.end() ? nullptr : &*found;
}

Result<Arguments::Value> point(std::string_view text) {
  Result<restore::Point> parsed = restore::parse_absolute_point(text);
  if (!parsed) return std::move(parsed).error();
  return Arguments::Value{*std::move(parsed)};
}

Result<Arguments::Value> count_of_query(const Parameter& parameter, const std::string& text) {
  std::uint64_t count = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (failed == std::errc{} && end == text.data() + text.size()) return Arguments::Value{count};
  return make_error(EINVAL, "the query's \"{}\" is a whole number, not \"{}\"", parameter.name,
                    text);
}

Result<Arguments::Value> of_query(const Parameter& parameter, const std::string& text) {
  switch (parameter.kind) {
    case Kind::kFlag:
      if (text == "true" || text == "1") return Arguments::Value{true};
      if (text == "false" || text == "0") return Arguments::Value{false};
      return make_error(EINVAL, "the query's \"{}\" is true or false, not \"{}\"", parameter.name,
                        text);
    case Kind::kPoint:
      return point(text);
    case Kind::kCount:
      return count_of_query(parameter, text);
    default:
      return Arguments::Value{text};
  }
}

cdp::Error unlike(const Parameter& parameter, std::string_view wanted) {
  return {EINVAL, fmt::format("the request's body wants \"{}\" to be {}", parameter.name, wanted)};
}

Result<Arguments::Value> text_of(const Parameter& parameter, const json::value& value) {
  if (!value.is_string()) return unlike(parameter, "a string");
  return Arguments::Value{std::string{value.get_string()}};
}

Result<Arguments::Value> texts_of(const Parameter& parameter, const json::value& value) {
  const json::array* const list = value.if_array();
  const bool is_sized = list != nullptr && !list->empty() && list->size() <= Parameter::kTextsMax;
  const bool is_of_texts =
      is_sized &&
      std::all_of(list->begin(), list->end(), [](const auto& each) { return each.is_string(); });
  if (!is_of_texts) {
    return unlike(parameter, fmt::format("a list of 1 to {} strings", Parameter::kTextsMax));
  }
  std::vector<std::string> texts;
  for (const json::value& each : *list) texts.emplace_back(each.get_string());
  return Arguments::Value{std::move(texts)};
}

Result<Arguments::Value> whole_number_of(const Parameter& parameter, const json::value& value) {
  boost::system::error_code error;
  const bool is_whole = value.is_int64() || value.is_uint64();
  const auto number = is_whole ? value.to_number<std::uint64_t>(error) : 0;
  if (!is_whole || error) return unlike(parameter, "a whole number that is not negative");
  return Arguments::Value{number};
}

Result<Arguments::Value> volume_at_of(const Parameter& parameter, const json::value& value) {
  const json::object* const object = value.if_object();
  const json::value* const volume = object != nullptr ? object->if_contains("volume") : nullptr;
  const json::value* const at = object != nullptr ? object->if_contains("at") : nullptr;
  const bool is_one = volume != nullptr && at != nullptr && object->size() == 2 &&
                      volume->is_string() && at->is_string();
  if (!is_one) return unlike(parameter, "an object of \"volume\" and \"at\", two strings");
  Result<restore::Point> parsed = restore::parse_absolute_point(at->get_string());
  if (!parsed) return std::move(parsed).error();
  return Arguments::Value{VolumeAt{std::string{volume->get_string()}, *std::move(parsed)}};
}

Result<Arguments::Value> of_body(const Parameter& parameter, const json::value& value) {
  switch (parameter.kind) {
    case Kind::kText:
    case Kind::kSecret:
      return text_of(parameter, value);
    case Kind::kTexts:
      return texts_of(parameter, value);
    case Kind::kSize:
    case Kind::kCount:
      return whole_number_of(parameter, value);
    case Kind::kFlag:
      if (!value.is_bool()) return unlike(parameter, "true or false");
      return Arguments::Value{value.get_bool()};
    case Kind::kPoint:
      if (!value.is_string()) return unlike(parameter, "a point, such as \"lsn:7\"");
      return point(value.get_string());
    case Kind::kVolumeAt:
      return volume_at_of(parameter, value);
  }
  return unlike(parameter, "something else");
}

Status missing(const std::vector<Parameter>& parameters, const Arguments& arguments,
               std::string_view where) {
  for (const Parameter& parameter : parameters) {
    if (!parameter.required || arguments.has(parameter.name)) continue;
    return make_error(EINVAL, "the request's {} wants \"{}\": {}", where, parameter.name,
                      parameter.meaning);
  }
  return {};
}

// What is misspelt must not pass unnoticed.
cdp::Error unknown(std::string_view name, const std::vector<Parameter>& known,
                   std::string_view where) {
  std::vector<std::string_view> names;
  for (const Parameter& parameter : known) names.push_back(parameter.name);
  return {EINVAL,
          fmt::format("the request's {} has \"{}\", which this resource does not know{}{}", where,
                      name, names.empty() ? "" : ": it knows ", fmt::join(names, ", "))};
}

Status take_query(const Operation& operation, const HttpRequest& request, Call& call) {
  for (const auto& [name, text] : request.query) {
    if (name == kZoneParameter.name) continue;
    const Parameter* const parameter = find(operation.query, name);
    if (parameter == nullptr) return unknown(name, operation.query, "query");
    Result<Arguments::Value> value = of_query(*parameter, text);
    if (!value) return std::move(value).error();
    call.arguments.add(name, *std::move(value));
  }
  return missing(operation.query, call.arguments, "query");
}

Status take_body(const Operation& operation, const HttpRequest& request, Call& call) {
  if (!request.body.is_null() && !request.body.is_object()) {
    return make_error(EINVAL, "the request's body must be a JSON object");
  }
  if (const json::object* const body = request.body.if_object()) {
    for (const auto& [name, json_value] : *body) {
      const Parameter* const parameter = find(operation.body, name);
      if (parameter == nullptr) return unknown(name, operation.body, "body");
      Result<Arguments::Value> value = of_body(*parameter, json_value);
      if (!value) return std::move(value).error();
      call.arguments.add(name, *std::move(value));
    }
  }
  return missing(operation.body, call.arguments, "body");
}

}  // namespace

const Parameter kZoneParameter{
    "tz", Kind::kText,
    "The zone of the times in the answer, such as Europe/Berlin; UTC without it"};

bool Operation::is_at(const std::vector<std::string>& path_segments) const {
  const std::vector<std::string_view> own = segments_of(path);
  return std::equal(own.begin(), own.end(), path_segments.begin(), path_segments.end(),
                    [](std::string_view wanted, const std::string& given) {
                      return is_variable(wanted) || wanted == given;
                    });
}

std::optional<Rights> Operation::needs_of(const HttpRequest& request) const {
  const json::object* const given = request.body.if_object();
  const bool has_it =
      given != nullptr && !needs_with.parameter.empty() && given->contains(needs_with.parameter);
  return has_it ? needs_with.rights : needs;
}

json::object Operation::detail_of(const HttpRequest& request) const {
  json::object detail;
  const std::vector<std::string_view> own = segments_of(path);
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (is_variable(own[i])) detail[variable_name(own[i])] = request.path[i];
  }
  for (const auto& [name, text] : request.query) {
    if (find(query, name) != nullptr) detail[name] = text;
  }
  const json::object* const given = request.body.if_object();
  for (const Parameter& parameter : body) {
    const json::value* const value =
        given != nullptr ? given->if_contains(parameter.name) : nullptr;
    if (value != nullptr && parameter.kind != Kind::kSecret) detail[parameter.name] = *value;
  }
  return detail;
}

cdp::Result<Call> Operation::parse(HttpRequest request, Principal who) const {
  const auto zone_name = request.query.find(std::string(kZoneParameter.name));
  Result<restore::TimeZone> zone = restore::TimeZone::utc();
  if (zone_name != request.query.end() && !zone_name->second.empty()) {
    zone = restore::TimeZone::find(zone_name->second);
  }
  if (!zone) return std::move(zone).error();
  Call call{{}, *std::move(zone), std::move(who), std::move(request.peer)};
  const std::vector<std::string_view> own = segments_of(path);
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (is_variable(own[i])) call.arguments.add(variable_name(own[i]), std::move(request.path[i]));
  }
  if (Status taken = take_query(*this, request, call); !taken) return std::move(taken).error();
  if (Status taken = take_body(*this, request, call); !taken) return std::move(taken).error();
  return call;
}

}  // namespace tools
