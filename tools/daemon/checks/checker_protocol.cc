// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/checks/checker_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>
#include <utility>

#include "cdp/base/utf8.h"

namespace tools {
namespace {

namespace json = boost::json;
using cdp::make_error;
using cdp::Result;

constexpr int kVersion = 1;
constexpr std::size_t kDepthMax = 8;
constexpr std::size_t kSentenceBytesMax = 512;
constexpr std::size_t kNameBytesMax = 64;  // of types, tools, ids
constexpr std::size_t kLabelBytesMax = 256;
constexpr std::uint64_t kPartitionMax = 65535;
constexpr std::string_view kOutcomes[] = {"clean", "recovered", "damaged", "needs_mount",
                                          "not_checked"};

// Thrown inside, and caught where a line is parsed.
struct Lie {
  std::string what;
};

template <typename... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  throw Lie{fmt::format(format, std::forward<Args>(args)...)};
}

enum class Lines { kOne, kSeveral };

bool is_plain_text(std::string_view text, Lines lines) {
  if (!cdp::is_utf8(text)) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '\n' && lines == Lines::kSeveral) continue;
    if (byte < 0x20 || byte == 0x7f) return false;
    // U+0080 to U+009F are control characters too.
    const bool is_c2 = byte == 0xc2 && i + 1 < text.size();
    if (is_c2 && static_cast<unsigned char>(text[i + 1]) < 0xa0) return false;
  }
  return true;
}

// The members of an object, each asked for once; any other is a lie.
class Members {
 public:
  Members(const json::value& of, std::string_view what) : what_(what) {
    object_ = of.if_object();
    if (object_ == nullptr) refuse("{} is no object", what_);
  }

  bool has(std::string_view name) const { return object_->contains(name); }
  const json::value& value(std::string_view name) {
    asked_.insert(name);
    const json::value* const found = object_->if_contains(name);
    if (found == nullptr) refuse("{} lacks {}", what_, name);
    return *found;
  }
  std::uint64_t number(std::string_view name) {
    const json::value& found = value(name);
    if (found.is_uint64()) return found.get_uint64();
    if (!found.is_int64() || found.get_int64() < 0)
      refuse("{} of {} is no whole number", name, what_);
    return static_cast<std::uint64_t>(found.get_int64());
  }
  bool flag(std::string_view name) {
    const json::value& found = value(name);
    if (!found.is_bool()) refuse("{} of {} is neither true nor false", name, what_);
    return found.get_bool();
  }
  std::string text(std::string_view name, std::size_t bytes_max, Lines lines = Lines::kOne) {
    const json::value& found = value(name);
    if (!found.is_string()) refuse("{} of {} is no text", name, what_);
    const std::string_view text = found.get_string();
    if (text.size() > bytes_max) refuse("{} of {} is longer than {} bytes", name, what_, bytes_max);
    if (!is_plain_text(text, lines)) refuse("{} of {} is no plain text", name, what_);
    return std::string{text};
  }
  std::string word(std::string_view name, std::size_t bytes_max) {
    std::string said = text(name, bytes_max);
    if (said.empty()) refuse("{} of {} is empty", name, what_);
    return said;
  }
  void end() const {
    for (const auto& member : *object_)
      if (!asked_.contains(std::string_view{member.key()}))
        refuse("{} has a member too many", what_);
  }

 private:
  const std::string_view what_;
  const json::object* object_ = nullptr;
  std::set<std::string_view> asked_;
};

json::value partition_table_of(const json::value& said) {
  if (said.is_null()) return nullptr;
  Members members{said, "the partition table"};
  json::object table{{"type", members.word("type", kNameBytesMax)},
                     {"id", members.text("id", kNameBytesMax)}};
  members.end();
  return table;
}

json::object file_system_of(const json::value& said, std::uint64_t device_bytes, bool has_table) {
  Members members{said, "a file system"};
  const std::uint64_t offset = members.number("offset");
  const std::uint64_t bytes = members.number("bytes");
  if (bytes == 0 || offset >= device_bytes || bytes > device_bytes - offset)
    refuse("a file system of {} bytes at {} does not lie in the device", bytes, offset);
  json::object system{{"offset", offset}, {"bytes", bytes}};
  if (members.has("partition")) {
    const std::uint64_t number = members.number("partition");
    if (number == 0 || number > kPartitionMax || !has_table)
      refuse("there is no partition {}", number);
    system["partition"] = number;
  }
  system["type"] = members.word("type", kNameBytesMax);
  if (members.has("label")) system["label"] = members.word("label", kLabelBytesMax);
  if (members.has("uuid")) system["uuid"] = members.word("uuid", kNameBytesMax);
  if (members.has("tool")) system["tool"] = members.word("tool", kNameBytesMax);
  const std::string outcome = members.word("outcome", kNameBytesMax);
  if (std::ranges::find(kOutcomes, outcome) == std::end(kOutcomes))
    refuse("there is no such outcome");
  system["outcome"] = outcome;
  if (members.has("reason")) system["reason"] = members.word("reason", kSentenceBytesMax);
  if (members.has("output"))
    system["output"] = members.text("output", kCheckOutputBytesMax, Lines::kSeveral);
  members.end();
  const bool is_judged = outcome == "clean" || outcome == "recovered" || outcome == "damaged";
  if (is_judged && !system.contains("tool")) refuse("nobody has found a file system to be so");
  if (!is_judged && !system.contains("reason")) refuse("a file system is not judged for no reason");
  return system;
}

json::object result_of(const json::value& said, std::uint64_t device_bytes) {
  Members members{said, "the result"};
  json::value table = partition_table_of(members.value("partition_table"));
  const json::value& listed = members.value("file_systems");
  if (!listed.is_array()) refuse("the file systems are no list");
  if (listed.get_array().size() > kCheckFileSystemsMax)
    refuse("there are more than {} file systems", kCheckFileSystemsMax);
  json::array systems;
  for (const json::value& each : listed.get_array())
    systems.push_back(file_system_of(each, device_bytes, !table.is_null()));
  const bool knows_nothing = table.is_null() && systems.empty();
  if (members.flag("nothing_known") != knows_nothing) refuse("the result contradicts itself");
  members.end();
  return {{"partition_table", std::move(table)},
          {"file_systems", std::move(systems)},
          {"nothing_known", knows_nothing}};
}

CheckerWord word_of(const json::value& said, std::uint64_t device_bytes) {
  Members members{said, "the line"};
  CheckerWord word;
  if (members.has("open")) {
    Members wanted{members.value("open"), "the stretch"};
    word = CheckerWants{wanted.number("offset"), wanted.number("bytes")};
    wanted.end();
  } else if (members.has("doing")) {
    word = CheckerDoes{members.word("doing", kSentenceBytesMax)};
  } else if (members.has("failed")) {
    word = CheckerFailed{members.word("failed", kSentenceBytesMax)};
  } else {
    word = CheckerFound{result_of(members.value("result"), device_bytes)};
  }
  members.end();
  return word;
}

std::string line_of(const json::object& document) { return json::serialize(document) + "\n"; }

// How much of it could be left out.
std::size_t length_of(const json::object& system, std::string_view member) {
  const json::value* const text = system.if_contains(member);
  return text == nullptr ? 0 : text->as_string().size();
}

}  // namespace

std::string check_request(std::uint64_t device_bytes) {
  return line_of({{"check", kVersion}, {"bytes", device_bytes}});
}

std::string stretch_opened() { return line_of({{"opened", true}}); }

std::string stretch_refused(std::string_view why) { return line_of({{"refused", why}}); }

Result<CheckerWord> parse_checker_line(std::string_view line, std::uint64_t device_bytes) {
  try {
    if (line.size() > kCheckerLineBytesMax) refuse("a line is too long");
    json::parse_options options;
    options.max_depth = kDepthMax;
    boost::system::error_code wrong;
    const json::value said = json::parse({line.data(), line.size()}, wrong, {}, options);
    if (wrong) refuse("a line is no JSON");
    return word_of(said, device_bytes);
  } catch (const Lie& lie) {
    return make_error(EPROTO, "the checker does not keep to what was agreed: {}", lie.what);
  }
}

void shorten_check(json::object& result, std::size_t bytes_max) {
  json::array& systems = result.at("file_systems").as_array();
  for (const std::string_view member : {"output", "reason"}) {
    while (json::serialize(result).size() > bytes_max) {
      const auto longest = std::ranges::max_element(systems, {}, [&](const json::value& each) {
        return length_of(each.as_object(), member);
      });
      if (longest == systems.end() || length_of(longest->as_object(), member) == 0) break;
      longest->as_object().erase(member);
    }
  }
}

}  // namespace tools
