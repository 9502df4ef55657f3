// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/structured_log.h"

#include <fmt/format.h>
#include <spdlog/formatter.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <iterator>
#include <memory>
#include <span>

#include "cdp/base/types.h"
#include "cdp/base/utf8.h"
#include "restore/time_zone.h"

namespace tools {
namespace {

namespace json = boost::json;

// Those of the event that this thread is logging: spdlog formats a line where it is logged.
thread_local std::span<const LogField> fields_of_event;

// A word, and an object in JSON, as they are; else as JSON writes a text, which has no line's end.
std::string quoted(std::string_view value) {
  const auto has_only = [value](auto is_plain) {
    return std::all_of(value.begin(), value.end(), is_plain);
  };
  const bool is_word = !value.empty() && has_only([](char c) {
    return c > ' ' && c != '"' && c != '=' && c != '\\' && c < '\x7f';
  });
  const bool is_object = value.starts_with('{') && value.ends_with('}') && has_only([](char c) {
                           return static_cast<unsigned char>(c) >= ' ' && c != '\x7f';
                         });
  return is_word || is_object ? std::string{value} : json::serialize(json::string(value));
}

class FieldsFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg&, const std::tm&,
              spdlog::memory_buf_t& into) override {
    for (const auto& [name, value] : fields_of_event) {
      fmt::format_to(std::back_inserter(into), " {}={}", name, quoted(value));
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<FieldsFlag>();
  }
};

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& into) override {
    const auto since_1970 = message.time.time_since_epoch();
    const cdp::Nanos time{std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count()};
    const spdlog::string_view_t level = spdlog::level::to_string_view(message.level);
    json::object line{{"time", restore::format_time(time, restore::TimeZone::utc())},
                      {"level", std::string_view{level.data(), level.size()}},
                      {"message", text_of({message.payload.data(), message.payload.size()})}};
    for (const auto& [name, value] : fields_of_event) line[name] = text_of(value);
    const std::string text = json::serialize(line);
    into.append(text.data(), text.data() + text.size());
    into.push_back('\n');
  }
  std::unique_ptr<formatter> clone() const override { return std::make_unique<JsonFormatter>(); }

 private:
  // A path may be of any bytes, and JSON is UTF-8.
  static std::string text_of(std::string_view bytes) {
    std::string text{bytes};
    if (cdp::is_utf8(text)) return text;
    for (char& c : text) {
      if (static_cast<unsigned char>(c) >= 0x80) c = '?';
    }
    return text;
  }
};

}  // namespace

void set_log_format(LogFormat format) {
  if (format == LogFormat::kJson) {
    spdlog::set_formatter(std::make_unique<JsonFormatter>());
    return;
  }
  auto text = std::make_unique<spdlog::pattern_formatter>();
  text->add_flag<FieldsFlag>('*').set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v%*");
  spdlog::set_formatter(std::move(text));
}

void log_event(spdlog::level::level_enum level, std::string_view message,
               std::initializer_list<LogField> fields) {
  fields_of_event = {fields.begin(), fields.size()};
  spdlog::log(level, spdlog::string_view_t{message.data(), message.size()});
  fields_of_event = {};
}

}  // namespace tools
