// SPDX-License-Identifier: Apache-2.0
//
// Operation: one request of the API, described once. Requests are parsed by the description, and
// the OpenAPI document is made of it (openapi.h), so that what is told is what is taken.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cdp/base/result.h"
#include "restore/point.h"
#include "restore/time_zone.h"
#include "tools/daemon/access/rights.h"
#include "tools/daemon/rest/http_message.h"

namespace tools {

// A volume at a point of it, as a JSON object: {"volume": NAME, "at": POINT}.
struct VolumeAt {
  std::string volume;
  restore::Point at;
};

struct Parameter {
  enum class Kind {
    kText,
    kTexts,     // 1 to kTextsMax
    kSize,      // bytes
    kCount,     // a whole number
    kSecret,    // a text that no record and no log may have
    kFlag,      // in a query: true or false
    kPoint,     // as restore::parse_absolute_point takes it
    kVolumeAt,  // in a body only
  };
  static constexpr std::size_t kTextsMax = 256;

  std::string_view name;
  Kind kind = Kind::kText;
  std::string_view meaning;
  bool required = false;
};

// What a request said, by the names of parameters; asked for by the type of their kinds.
class Arguments {
 public:
  using Value = std::variant<std::string, std::vector<std::string>, std::uint64_t, bool,
                             restore::Point, VolumeAt>;

  void add(std::string_view name, Value value) { values_.emplace(name, std::move(value)); }
  bool has(std::string_view name) const { return values_.contains(name); }
  // Of one that is there.
  template <typename T>
  const T& get(std::string_view name) const {
    return std::get<T>(values_.find(name)->second);
  }
  const std::string& text(std::string_view name) const { return get<std::string>(name); }
  // False where it is not there.
  bool flag(std::string_view name) const { return has(name) && get<bool>(name); }

 private:
  std::map<std::string, Value, std::less<>> values_;
};

// A request that its operation takes.
struct Call {
  Arguments arguments;
  restore::TimeZone zone;  // for the times in what is answered
  Principal who;
  HttpPeer peer;
};

struct Operation {
  std::string_view method;
  std::string_view path;  // "/api/volumes/{name}": {name} is a text among the arguments
  std::string_view id;    // "getVolume": of functions in generated clients
  std::string_view meaning;
  std::vector<Parameter> query{};
  std::vector<Parameter> body{};
  unsigned status = 200;    // where all went well
  std::string_view answer;  // the schema of that, in openapi.h; or a media type
  // What it takes to do it; nothing: for those too who have not said who they are.
  std::optional<Rights> needs = Rights::kSee;
  // The same, of a request whose body has the parameter.
  struct {
    std::string_view parameter{};
    Rights rights = Rights::kNone;
  } needs_with{};
  bool is_act = false;  // something is done, or data seen: the audit has it

  bool is_at(const std::vector<std::string>& path_segments) const;
  std::optional<Rights> needs_of(const HttpRequest& request) const;
  // Whether it is done once only where it comes again with the same Idempotency-Key. Of who is
  // nobody yet, none is known again.
  bool takes_key() const { return is_act && method != "GET" && needs.has_value(); }
  // EINVAL says what is wrong with the request, which must be at this path: a parameter that is
  // missing, of another type, or not known.
  cdp::Result<Call> parse(HttpRequest request, Principal who) const;
  // What the request names, for the record: everything of the path and the body that this knows,
  // without secrets.
  boost::json::object detail_of(const HttpRequest& request) const;
};

// The query parameter that every operation knows: the zone of times in its answer.
extern const Parameter kZoneParameter;

}  // namespace tools
