// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/openapi.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <cctype>
#include <string>

#include "tools/daemon/rest/schemas.h"

namespace tools {
namespace {

namespace json = boost::json;
using Kind = Parameter::Kind;

json::object schema_of(Kind kind) {
  switch (kind) {
    case Kind::kText:
      return {{"type", "string"}};
    case Kind::kSecret:
      return {{"type", "string"}, {"format", "password"}};
    case Kind::kTexts:
      return {{"type", "array"},
              {"items", {{"type", "string"}}},
              {"minItems", 1},
              {"maxItems", Parameter::kTextsMax}};
    case Kind::kSize:
    case Kind::kCount:
      return {{"type", "integer"}, {"minimum", 0}};
    case Kind::kFlag:
      return {{"type", "boolean"}};
    case Kind::kPoint:
      return {
          {"type", "string"},
          {"description", "Behind force: one inside a gap is taken too, as far as it is known"},
          {"examples",
           {"lsn:7", "2020-02-23T18:56:00+08:00", "mark:LABEL", "now", "first", "force:lsn:7"}}};
    case Kind::kVolumeAt:
      return {{"type", "object"},
              {"properties", {{"volume", schema_of(Kind::kText)}, {"at", schema_of(Kind::kPoint)}}},
              {"required", {"volume", "at"}},
              {"additionalProperties", false}};
  }
  return {};
}

json::object parameter_of(std::string_view where, const Parameter& parameter) {
  return {{"name", parameter.name},
          {"in", where},
          {"required", parameter.required},
          {"description", parameter.meaning},
          {"schema", schema_of(parameter.kind)}};
}

const Parameter kIdempotencyKeyParameter{
    "Idempotency-Key", Kind::kText,
    "At most 255 bytes, new for each request: where the same comes again within a day, of the same "
    "session or token, the first one's answer is given, and nothing is done twice. Keys are "
    "forgotten when the daemon ends, and the oldest where there are more than 1024"};

Parameter parameter_of_path(std::string_view name) {
  if (name == "job") return {name, Kind::kCount, "Its number", true};
  if (name == "volume") return {name, Kind::kText, "Its name, or id:ID", true};
  if (name == "token") return {name, Kind::kText, "Its id, which is not the token", true};
  if (name == "clone") return {name, Kind::kText, "The name that it was given", true};
  if (name == "view")
    return {name, Kind::kText, "VOLUME_ID@lsn:N, as the list of views has it", true};
  return {name, Kind::kText, "The user's name", true};
}

json::array parameters_of(const Operation& operation) {
  json::array parameters;
  std::string_view path = operation.path;
  for (std::size_t at = path.find('{'); at != path.npos; at = path.find('{')) {
    const std::size_t end = path.find('}');
    const std::string_view of = path.substr(at + 1, end - at - 1);
    parameters.push_back(parameter_of("path", parameter_of_path(of)));
    path.remove_prefix(end + 1);
  }
  for (const Parameter& parameter : operation.query) {
    parameters.push_back(parameter_of("query", parameter));
  }
  parameters.push_back(parameter_of("query", kZoneParameter));
  if (operation.takes_key()) {
    parameters.push_back(parameter_of("header", kIdempotencyKeyParameter));
  }
  return parameters;
}

json::object content_of(std::string_view media_type, json::object schema) {
  return {{media_type, {{"schema", std::move(schema)}}}};
}

json::object body_of(const Operation& operation) {
  json::object properties;
  json::array required;
  for (const Parameter& parameter : operation.body) {
    json::object schema = schema_of(parameter.kind);
    schema["description"] = parameter.meaning;
    properties[parameter.name] = std::move(schema);
    if (parameter.required) required.emplace_back(parameter.name);
  }
  const bool is_required = !required.empty();
  json::object schema{
      {"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (is_required) schema["required"] = std::move(required);
  return {{"required", is_required},
          {"content", content_of("application/json", std::move(schema))}};
}

json::object request_id_header() {
  return {{"X-Request-Id",
           {{"description", "By which the daemon's log and the audit know the request"},
            {"schema", {{"type", "string"}, {"pattern", "^[0-9a-f]{16}$"}}}}}};
}

json::object answer_of(const Operation& operation) {
  const bool is_media_type = operation.answer.find('/') != std::string_view::npos;
  json::object content = is_media_type
                             ? content_of(operation.answer, {})
                             : content_of("application/json", schema_reference(operation.answer));
  return {{"description", operation.meaning},
          {"headers", request_id_header()},
          {"content", std::move(content)}};
}

json::object description_of(const Operation& operation) {
  json::object described{
      {"operationId", operation.id},
      {"summary", operation.meaning},
      {"parameters", parameters_of(operation)},
      {"responses",
       {{std::to_string(operation.status), answer_of(operation)},
        {"default",
         {{"description", "It did not go well, and nothing was done by halves"},
          {"headers", request_id_header()},
          {"content", content_of("application/problem+json", schema_reference("Problem"))}}}}}};
  if (!operation.body.empty()) described["requestBody"] = body_of(operation);
  if (!operation.needs.has_value()) described["security"] = json::array{};  // none is needed
  return described;
}

std::string lower(std::string_view text) {
  std::string small(text);
  std::transform(small.begin(), small.end(), small.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return small;
}

}  // namespace

json::object openapi_document(const std::vector<Operation>& operations, std::string_view version) {
  json::object paths;
  for (const Operation& operation : operations) {
    if (!paths.contains(operation.path)) paths[operation.path] = json::object{};
    paths[operation.path].as_object()[lower(operation.method)] = description_of(operation);
  }
  return {
      {"openapi", "3.1.0"},
      {"info",
       {{"title", "Hindsight"},
        {"version", version},
        {"description",
         "Block volumes of which any second can be had back. Sizes are bytes; a point is a time "
         "with its offset, lsn:N, mark:LABEL, now or first."},
        {"license", {{"name", "Apache 2.0"}, {"identifier", "Apache-2.0"}}}}},
      {"paths", std::move(paths)},
      {"components",
       {{"schemas", answer_schemas()},
        {"securitySchemes",
         {{"token", {{"type", "http"}, {"scheme", "bearer"}}},
          {"session", {{"type", "apiKey"}, {"in", "cookie"}, {"name", "__Host-hindsight"}}}}}}},
      {"security", json::array{json::object{{"token", json::array{}}},
                               json::object{{"session", json::array{}}}}}};
}

}  // namespace tools
