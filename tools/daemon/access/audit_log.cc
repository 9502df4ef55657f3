// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/access/audit_log.h"

#include <spdlog/spdlog.h>

#include <boost/json/serialize.hpp>

#include "tools/daemon/structured_log.h"

namespace tools {
namespace {

namespace json = boost::json;

constexpr cdp::Nanos kMinute = cdp::seconds(60);
constexpr std::size_t kWhoBytesMax = 256;
constexpr std::size_t kDetailBytesMax = 2048;
constexpr std::size_t kValueBytesMax = 300;

// What anybody can bring about, as often as he likes.
bool is_refusal(const Principal& who, unsigned status) {
  const bool has_failed = status >= 400;
  return has_failed && (who.kind == Principal::Kind::kNobody || status == 403 || status == 429);
}

// JSON escapes control characters but this one, and no record takes it.
std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '\x7f')
      safe += "\\u007f";
    else
      safe += c;
  }
  return safe;
}

// What is too long for a record is left out, and that is told.
std::string detail_text(const json::object& detail) {
  std::string text = escaped(json::serialize(detail));
  if (text.size() <= kDetailBytesMax) return text;
  json::object shorter;
  std::size_t bytes = 0;
  for (const auto& [name, value] : detail) {
    const std::size_t more = name.size() + escaped(json::serialize(value)).size();
    if (more > kValueBytesMax || bytes + more > kDetailBytesMax / 2) continue;
    bytes += more;
    shorter[name] = value;
  }
  shorter["left_out"] = true;
  return escaped(json::serialize(shorter));
}

}  // namespace

bool AuditLog::may_record_refusal() {
  const cdp::Nanos now = clock_.boottime();
  if (now - minute_began_ >= kMinute) {
    minute_began_ = now;
    refusals_ = 0;
  }
  return ++refusals_ <= kRefusalsAMinute;
}

cdp::Task<void> AuditLog::record(Principal who, Entry entry) {
  const bool was_refused = is_refusal(who, entry.status);
  if (was_refused && !may_record_refusal()) {
    ++left_out_;
    co_return;
  }
  if (was_refused && left_out_ != 0)
    entry.detail["refusals_left_out"] = std::exchange(left_out_, 0);
  json::object detail{{"request", entry.request}};
  for (const auto& [name, value] : entry.detail) detail[name] = value;
  journal::AuditRecord record{.status = entry.status,
                              .actor = who.name.substr(0, kWhoBytesMax),
                              .origin = who.origin.substr(0, kWhoBytesMax),
                              .act = entry.act,
                              .detail = detail_text(detail)};
  log_event(spdlog::level::info, "audit",
            {{"act", record.act},
             {"actor", record.actor},
             {"origin", record.origin},
             {"status", fmt::to_string(record.status)},
             {"detail", record.detail}});
  const cdp::Status recorded = co_await appliance_.record_audit(std::move(record), !was_refused);
  if (!recorded) {
    log_event(spdlog::level::err, "audit: not in the journal: " + recorded.error().message,
              {{"request", entry.request}});
  }
}

}  // namespace tools
