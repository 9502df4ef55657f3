// SPDX-License-Identifier: Apache-2.0
//
// JournalState: what is true at an LSN besides the blocks of the volumes: which volumes there are,
// how they were rolled back, how far their backing stores have followed, the marks, and every crash
// that cost something.
// Every segment opens with it (rule 7), and applying each later record in turn gives it at any LSN.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "journal/records.h"

namespace journal {

struct VolumeState {
  struct Rollback {
    Stamp stamp{};
    Lsn point{};
    std::uint64_t size_bytes = 0;  // after it
    std::string author{};
    bool refuse_writers = false;
    bool operator==(const Rollback&) const = default;
  };
  // From `begin` on and before `end`, history has not what the volume held.
  struct Gap {
    Stamp begin{};
    std::optional<Stamp> end{};  // none: it is not over
    std::string cause{};
    bool operator==(const Gap&) const = default;
  };
  struct Origin {
    VolumeId volume{};
    Lsn point{};
    bool operator==(const Origin&) const = default;
  };

  VolumeId id{};
  Uuid uuid{};
  std::string name{};
  std::string backing{};
  std::uint64_t size_bytes = 0;
  Stamp created{};
  std::optional<Stamp> removed{};
  Lsn checkpoint{};                      // replay starts after it
  std::vector<Rollback> rollbacks{};     // oldest first
  std::vector<Gap> gaps{};               // oldest first; the last may not be over
  std::optional<Origin> origin{};        // where it was created from, if from a point
  std::optional<Hydration> hydration{};  // while the backing store lacks content
  bool writers_refused = false;          // since a rollback, until it is resumed

  bool is_in_gap() const { return !gaps.empty() && !gaps.back().end.has_value(); }
  void add(const GapRecord& record);
};

struct JournalState {
  Lsn lsn{};     // of the newest record that is applied
  Nanos time{};  // its time
  std::uint32_t next_volume_id = 1;
  std::map<VolumeId, VolumeState> volumes{};               // the removed ones too
  std::map<std::string, MarkRecord, std::less<>> marks{};  // by label
  std::vector<CrashRecord> crashes{};                      // oldest first
  std::optional<ClockRecord> clock{};                      // the newest

  // By name: the live volume, or else the removed one that holds the name. Null: there is none.
  const VolumeState* find(std::string_view name) const;
  const VolumeState* find(VolumeId id) const;
  const VolumeState* find(const Uuid& uuid) const;

  void apply(const VolumeCreated& record);
  void apply(const VolumeCreatedFrom& record);
  void apply(const VolumeResized& record);
  void apply(const VolumeRenamed& record);
  void apply(const VolumeRemoved& record);
  void apply(const MarkRecord& record);
  void apply(const RollbackRecord& record);
  void apply(const GapRecord& record);
  void apply(const VolumeResumed& record);
  void apply(const CheckpointRecord& record);
  void apply(const CrashRecord& record);
  void apply(const ClockRecord& record);
  // Any other record: only the LSN and the time move on.
  void advance(Stamp stamp);
};

// Names of volumes are 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit; labels of
// marks are 1 to 128 bytes of UTF-8 without control characters. EINVAL says what is wrong.
Status check_volume_name(std::string_view name);
Status check_mark_label(std::string_view label);

}  // namespace journal
