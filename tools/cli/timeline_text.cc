// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/timeline_text.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "journal/activity.h"
#include "restore/point.h"
#include "restore/target_file.h"
#include "tools/cli/output.h"
#include "tools/cli/table.h"

namespace tools::cli {
namespace {

namespace json = boost::json;
using cdp::Nanos;
using restore::format_bytes;
using restore::TimeZone;

constexpr std::size_t kNameWidth = 11;  // of a strip, with the blank behind it
constexpr std::size_t kNoteWidth = 14;  // what stands behind a strip
constexpr std::size_t kStripMin = 10;
constexpr std::size_t kStripMax = 240;
constexpr std::size_t kTickWidth = 20;
constexpr std::size_t kEventsTold = 30;  // one by one

struct Signs {
  std::string_view levels[8];
  std::string_view gap, mark, crash, rollback, edge, many;
};
constexpr Signs kUnicodeSigns = {
    {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, "▒", "▲", "✗", "↶", "│", "◆"};
constexpr Signs kAsciiSigns = {
    {".", ":", "-", "=", "+", "*", "#", "@"}, "/", "^", "x", "<", "|", "&"};

constexpr std::string_view kRed = "31";
constexpr std::string_view kYellow = "33";
constexpr std::string_view kCyan = "36";

std::optional<Nanos> time_in(const json::object& document, std::string_view key) {
  const auto point = restore::parse_absolute_point(text_of(document, key));
  if (!point.ok() || point->kind != restore::PointKind::kTime) return std::nullopt;
  return point->time;
}

std::int64_t rounded_down(std::int64_t second, std::int64_t length) {
  const std::int64_t rest = second % length;
  return second - (rest < 0 ? rest + length : rest);
}

// "1 s", "90 s", "5 min", "1 h", "7 d"
std::string length_text(std::int64_t seconds) {
  constexpr std::pair<std::int64_t, const char*> kUnits[] = {{86400, "d"}, {3600, "h"}, {60, "min"}};
  for (const auto& [length, unit] : kUnits)
    if (seconds % length == 0) return fmt::format("{} {}", seconds / length, unit);
  return fmt::format("{} s", seconds);
}

// As --since and --until take it.
std::string time_text(Nanos time, const TimeZone& zone) {
  std::string text = restore::point_text(restore::Point::at_time(time), zone);
  constexpr std::string_view kNoFraction = ".000000000";
  if (const std::size_t at = text.find(kNoFraction); at != std::string::npos)
    text.erase(at, kNoFraction.size());
  return text;
}

// What happened in a column.
struct Column {
  std::uint64_t written = 0;
  std::uint64_t zeroed = 0;                    // or trimmed
  std::optional<std::uint64_t> overwritten{};  // percent, as the next: the most of its steps
  std::optional<std::uint64_t> entropy{};
  bool in_gap = false;
  std::string_view event{};  // its sign; empty: none
  std::string_view event_colour{};
};

class Drawing {
 public:
  Drawing(const json::object& timeline, const TimeZone& zone, TimelineLook look)
      : timeline_(timeline),
        zone_(zone),
        look_(look),
        signs_(look.unicode ? kUnicodeSigns : kAsciiSigns),
        step_(std::max<std::int64_t>(
            1, static_cast<std::int64_t>(number_of(timeline, "step_seconds")))),
        since_(time_in(timeline, "since").value_or(Nanos{})),
        until_(std::max(since_, time_in(timeline, "until").value_or(Nanos{}))) {
    begin_ = rounded_down(journal::second_of(since_), step_);
    const std::int64_t end = journal::second_of(until_) + 1;
    const std::int64_t steps = std::max<std::int64_t>(1, (end - begin_ + step_ - 1) / step_);
    const std::size_t room =
        look.columns > kNameWidth + kNoteWidth ? look.columns - kNameWidth - kNoteWidth : 0;
    const auto widest = static_cast<std::int64_t>(std::clamp(room, kStripMin, kStripMax));
    column_seconds_ = step_ * ((steps + widest - 1) / widest);
    columns_.resize(
        static_cast<std::size_t>((end - begin_ + column_seconds_ - 1) / column_seconds_));
  }

  std::string text() {
    add_steps();
    std::string events = add_events();
    std::string text = heading();
    if (steps_ == 0) {
      text += "Nothing was written in this time.\n";
    } else {
      text += strip("written", "", &Column::written);
      if (max_of(&Column::zeroed) > 0) text += strip("zeroed", kYellow, &Column::zeroed);
      text += percents("overwrites", &Column::overwritten);
      text += percents("entropy", &Column::entropy);
    }
    text += event_row();
    text += axis();
    if (!events.empty()) text += "\n" + events;
    text += advice();
    return text;
  }

 private:
  std::size_t column_of(Nanos time) const {
    const std::int64_t at =
        std::max<std::int64_t>(0, journal::second_of(time) - begin_) / column_seconds_;
    return std::min(static_cast<std::size_t>(at), columns_.size() - 1);
  }

  void add_steps() {
    const json::array* const steps = array_of(timeline_, "steps");
    if (steps == nullptr) return;
    for (const json::value& value : *steps) {
      const json::object* const step = value.if_object();
      const auto begin = step != nullptr ? time_in(*step, "begin") : std::nullopt;
      if (!begin) continue;
      ++steps_;
      Column& column = columns_[column_of(*begin)];
      const std::uint64_t zeroed =
          number_of(*step, "zeroed_bytes") + number_of(*step, "trimmed_bytes");
      column.written += number_of(*step, "written_bytes");
      column.zeroed += zeroed;
      const auto take_most = [step](std::optional<std::uint64_t>& most, std::string_view key) {
        if (step->contains(key)) most = std::max(most.value_or(0), number_of(*step, key));
      };
      take_most(column.overwritten, "overwritten_percent");
      take_most(column.entropy, "entropy_percent");
      // What an operator looks for first is what became zeroes; then the most that was written.
      const std::pair weight{zeroed, number_of(*step, "written_bytes")};
      if (!peak_ || weight > peak_weight_) {
        peak_ = *begin;
        peak_weight_ = weight;
      }
    }
  }

  // Puts them into the columns, and tells them one by one.
  std::string add_events() {
    std::string text;
    const json::array* const events = array_of(timeline_, "events");
    if (events == nullptr) return text;
    Table table{{"", "TIME", "POINT", "WHAT"}};
    table.keep("POINT");
    for (const json::value& value : *events) {
      const json::object* const event = value.if_object();
      const auto at = event != nullptr ? time_in(*event, "time") : std::nullopt;
      if (!at) continue;
      const std::string kind = text_of(*event, "kind");
      std::string_view sign = signs_.edge;
      std::string_view colour;
      if (kind == "mark") sign = signs_.mark, colour = kCyan;
      if (kind == "rollback") sign = signs_.rollback, colour = kCyan;
      if (kind == "crash") sign = signs_.crash, colour = kRed;
      if (kind == "gap") {
        sign = signs_.gap, colour = kRed;
        const std::size_t last = column_of(time_in(*event, "until").value_or(until_));
        for (std::size_t i = column_of(*at); i <= last; ++i) columns_[i].in_gap = true;
      }
      if (*at >= since_) {
        Column& column = columns_[column_of(*at)];
        column.event = column.event.empty() || column.event == sign ? sign : signs_.many;
        column.event_colour =
            colour == kRed || column.event_colour.empty() ? colour : column.event_colour;
      }
      std::string what = kind + " " + text_of(*event, "text");
      if (const auto over = time_in(*event, "until"))
        what += fmt::format(" (over at {})", format_time_short(*over, zone_));
      const bool has_label = kind == "mark";
      if (++events_ > kEventsTold) continue;
      table.add({std::string{sign}, format_time_short(*at, zone_),
                 has_label ? "mark:" + text_of(*event, "text")
                           : fmt::format("lsn:{}", number_of(*event, "lsn")),
                 has_label ? kind : what});
    }
    if (events_ == 0) return text;
    text = table.text();
    if (events_ > kEventsTold)
      text += fmt::format("and {} more: --json has all of them\n", events_ - kEventsTold);
    return text;
  }

  std::string heading() const {
    const json::object* const volume = object_of(timeline_, "volume");
    return fmt::format("{}  {} to {}, a column is {}\n\n",
                       volume != nullptr ? text_of(*volume, "name") : "?",
                       format_time_short(cdp::seconds(begin_), zone_),
                       format_time_short(cdp::seconds(journal::second_of(until_)), zone_),
                       length_text(column_seconds_));
  }

  std::uint64_t max_of(std::uint64_t Column::* value) const {
    std::uint64_t most = 0;
    for (const Column& column : columns_) most = std::max(most, column.*value);
    return most;
  }

  std::string coloured(std::string_view text, std::string_view colour) const {
    if (!look_.colour || colour.empty()) return std::string{text};
    return fmt::format("\x1b[{}m{}\x1b[0m", colour, text);
  }

  // Square roots: what is a hundredth of the most is still told from what is nothing.
  std::string_view bar(double part) const {
    const auto level = static_cast<int>(std::ceil(std::sqrt(part) * 8));
    return signs_.levels[std::clamp(level, 1, 8) - 1];
  }
  std::string row(std::string_view name, std::string_view colour, const std::string& bars,
                  const std::string& note) const {
    return fmt::format("{:<{}}{}{}\n", name, kNameWidth, coloured(bars, colour),
                       note.empty() ? "" : "  " + note);
  }

  std::string strip(std::string_view name, std::string_view colour,
                    std::uint64_t Column::* value) const {
    const std::uint64_t most = max_of(value);
    std::string bars;
    for (const Column& column : columns_) {
      if (column.*value > 0)
        bars += bar(static_cast<double>(column.*value) / static_cast<double>(most));
      else
        bars += column.in_gap ? signs_.gap : " ";
    }
    return row(name, colour, bars, "max " + format_bytes(most));
  }

  // Nothing where none is known.
  std::string percents(std::string_view name, std::optional<std::uint64_t> Column::* value) const {
    std::string bars;
    std::uint64_t most = 0;
    for (const Column& column : columns_) {
      const std::uint64_t percent = (column.*value).value_or(0);
      most = std::max(most, percent);
      // Of these the height is the share.
      bars += percent == 0 ? " " : signs_.levels[std::min<std::uint64_t>(percent * 8 / 101, 7)];
    }
    return most == 0 ? std::string{} : row(name, "", bars, fmt::format("max {} %", most));
  }

  std::string event_row() const {
    std::string bars;
    bool any = false;
    for (const Column& column : columns_) {
      any = any || !column.event.empty();
      bars += column.event.empty() ? " " : coloured(column.event, column.event_colour);
    }
    return any ? row("", "", bars, "") : std::string{};
  }

  std::string axis() const {
    const std::int64_t all = column_seconds_ * static_cast<std::int64_t>(columns_.size());
    std::string line;
    for (std::size_t at = 0; at + kTickWidth / 2 <= columns_.size() || at == 0; at += kTickWidth) {
      const Nanos time = cdp::seconds(begin_ + static_cast<std::int64_t>(at) * column_seconds_);
      const restore::CivilTime civil = zone_.civil_at(time);
      std::string label = look_.unicode ? "╵" : "'";
      if (all > 2 * 86400)
        label += fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", civil.year, civil.month, civil.day,
                             civil.hour, civil.minute);
      else
        label += fmt::format("{:02}:{:02}:{:02}", civil.hour, civil.minute, civil.second);
      const std::size_t taken = look_.unicode ? label.size() - 2 : label.size();
      line += label;
      if (at + kTickWidth + kTickWidth / 2 <= columns_.size()) line.append(kTickWidth - taken, ' ');
    }
    return fmt::format("{:<{}}{}\n", "", kNameWidth, line);
  }

  // Where to go from here.
  std::string advice() const {
    if (!peak_) return {};
    const json::object* const volume = object_of(timeline_, "volume");
    const std::string name = volume != nullptr ? text_of(*volume, "name") : "NAME";
    const auto at = [this](Nanos time) { return time_text(time, zone_); };
    const bool zeroes = peak_weight_.first > 0;
    const std::string what =
        fmt::format("The most was {} ({}) at {}.", zeroes ? "trimmed or zeroed" : "written",
                    format_bytes(zeroes ? peak_weight_.first : peak_weight_.second),
                    format_time_short(*peak_, zone_));
    if (step_ > 1)
      return fmt::format("\n{} Closer:\n  hindsight timeline {} --since {} --until {}\n", what,
                         name, at(*peak_), at(*peak_ + cdp::seconds(step_)));
    return fmt::format("\n{} The point just before:\n  hindsight points {} --at {}\n", what, name,
                       at(*peak_ - Nanos{1}));
  }

  const json::object& timeline_;
  const TimeZone& zone_;
  const TimelineLook look_;
  const Signs& signs_;
  const std::int64_t step_;
  const Nanos since_;
  const Nanos until_;
  std::int64_t begin_ = 0;
  std::int64_t column_seconds_ = 1;
  std::vector<Column> columns_;
  std::size_t steps_ = 0;
  std::size_t events_ = 0;
  std::optional<Nanos> peak_{};
  std::pair<std::uint64_t, std::uint64_t> peak_weight_{};
};

}  // namespace

std::string timeline_text(const json::object& timeline, const TimeZone& zone, TimelineLook look) {
  return Drawing{timeline, zone, look}.text();
}

}  // namespace tools::cli
