// SPDX-License-Identifier: Apache-2.0
//
// The daemon's log: a line an event, for people (text) or for programs that gather logs (json). An
// event may have fields of its own beside its sentence; in text they stand behind it as name=value.
// What goes through spdlog directly is an event without fields.
//
// Lines as JSON: {"time": RFC 3339 in UTC, "level": spdlog's name of it, "message", and the
// fields}. For any thread.
#pragma once

#include <spdlog/common.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace tools {

enum class LogFormat { kText, kJson };

// From the next line on.
void set_log_format(LogFormat format);

using LogField = std::pair<std::string_view, std::string>;

// `fields` must not be named time, level or message.
void log_event(spdlog::level::level_enum level, std::string_view message,
               std::initializer_list<LogField> fields);

}  // namespace tools
