// SPDX-License-Identifier: Apache-2.0
//
// History: what a vault knows, as of one moment, and where a point lies in it. A point becomes an
// LSN by the time index, and a volume's name becomes the volume that had it there: names resolve at
// the point, `id:UUID` always (rule 17). What lies outside of history or could mean several places
// is refused with the ends or the candidates in the sentence (rule 16). What a user must know of
// the place that was found, such as a crash that may have lost writes there, comes as notices.
//
// Error codes: ENOENT no such volume or mark, ERANGE outside of history, ENOTUNIQ ambiguous time,
// EINVAL a text that means nothing; others come from reading the vault.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/task.h"
#include "journal/index/time_index.h"
#include "journal/state.h"
#include "restore/point.h"
#include "restore/time_zone.h"

namespace restore {

using cdp::Error;
using cdp::Task;
using journal::Stamp;

// Something to know: the work is done, and the exit code is 3.
struct Notice {
  std::string kind;     // "crash", "damage", "gap"
  std::string message;  // one sentence
  bool operator==(const Notice&) const = default;
};

// The ends of a volume's history: its creation, and its removal or the newest record.
struct Ends {
  Stamp first{};
  Stamp last{};
};

struct NearestMark {
  journal::MarkRecord mark;
  Nanos distance;  // of the point from the mark; negative: the point is before it
};

struct NearestGap {
  journal::VolumeState::Gap gap;
  Nanos distance;  // of the point from it: 0 inside; negative: the point is before it
};

struct ResolvedPoint {
  // The LSN, and the time of the newest record at or before it.
  Stamp at{};
  std::optional<Nanos> asked_time;
  journal::VolumeState volume;  // as it was there
  Ends ends;
  std::optional<NearestMark> nearest_mark;
  std::optional<NearestGap> nearest_gap;
  bool is_in_gap = false;  // and asked for with force
  std::vector<Notice> notices;
};

struct HistoryOptions {
  // Nothing is missing up to here: a daemon that made everything durable knows so at that moment.
  // Without it, history is known to its newest record only.
  std::optional<Nanos> complete_until;
  TimeZone zone = TimeZone::utc();  // for the times in sentences
  std::vector<journal::Damage> lost{};  // what could not be read, and the newest state lacks
};

class History {
 public:
  // `newest` is the state at the end of history; an empty one where nothing was recorded yet.
  History(journal::JournalState newest, HistoryOptions options)
      : newest_(std::move(newest)), options_(std::move(options)) {}

  // `volume` is a name or "id:UUID". `index` covers what `newest` is the state of. A point inside a
  // gap is ERANGE, unless it was asked for with force.
  Task<Result<ResolvedPoint>> resolve(journal::index::TimeIndex& index, std::string volume,
                                      Point point) const;
  // Sentences about what could not be read of the interval when the index was made.
  static Task<Result<std::vector<std::string>>> damage(journal::index::TimeIndex& index,
                                                       journal::LsnInterval interval);

  // What is true at the end, with all volumes, marks and crashes.
  const journal::JournalState& newest() const { return newest_; }
  const TimeZone& zone() const { return options_.zone; }
  const std::optional<Nanos>& complete_until() const { return options_.complete_until; }

  // The volume of a name or id at the end of history, removed ones too.
  Result<const journal::VolumeState*> find_volume(std::string_view volume) const;
  Ends ends_of(const journal::VolumeState& volume) const;
  // What is to know of a volume's whole history: crashes that cut it, gaps, and what is lost.
  std::vector<Notice> notices_of(const journal::VolumeState& volume) const;
  // HistoryOptions::lost: of any volume, mark or rollback in it nothing is known.
  std::vector<Notice> lost() const;
  static Notice notice_of(const journal::Damage& damage);
  // Crashes that lost, between the two LSNs, what had been confirmed as durable.
  std::vector<Notice> confirmed_losses(Lsn after, Lsn before) const;

 private:
  using TimeIndex = journal::index::TimeIndex;
  Task<Result<Lsn>> find_lsn(TimeIndex& index, std::string volume, Point point) const;
  Task<Result<Lsn>> find_time(TimeIndex& index, std::string volume, Nanos time) const;
  Task<Result<Lsn>> find_first(TimeIndex& index, std::string volume) const;
  Task<Result<journal::JournalState>> state_at(TimeIndex& index, Lsn lsn) const;
  Task<Error> ambiguous(TimeIndex& index, Nanos time, std::vector<Lsn> candidates) const;
  Error outside(std::string_view volume, std::string_view asked) const;
  Error not_there(std::string_view volume, const journal::JournalState& state) const;
  std::string stamp_text(Stamp stamp) const;
  std::string ends_text(std::string_view volume) const;
  std::optional<NearestMark> nearest_mark(const journal::VolumeState& volume, Stamp at) const;
  void add_crash_notices(const Point& point, Lsn at, std::vector<Notice>* notices) const;
  Notice crash_notice(const journal::CrashRecord& crash) const;
  std::string gap_text(const journal::VolumeState::Gap& gap) const;

  const journal::JournalState newest_;
  const HistoryOptions options_;
};

}  // namespace restore
