// SPDX-License-Identifier: Apache-2.0
//
// JournalState: what is true at an LSN besides the blocks of the volumes: which volumes there are,
// how they were rolled back, how far their backing stores have followed, the marks, every crash
// that cost something, and the users with their tokens. Every segment opens with it (rule 7), and
// applying each later record in turn gives it at any LSN.
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
  std::map<std::string, UserRecord, std::less<>> users{};  // the removed ones too
  std::map<Digest, TokenRecord> tokens{};                  // of users that are not removed

  // By name: the live volume, or else the removed one that holds the name. Null: there is none.
  const VolumeState* find(std::string_view name) const;
  const VolumeState* find(VolumeId id) const;
  const VolumeState* find(const Uuid& uuid) const;
  // Null: there is none, or it is removed.
  const UserRecord* find_user(std::string_view name) const;

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
  // Of a removed one the tokens go too.
  void apply(const UserRecord& record);
  // First, those that have expired by the record's own time are dropped.
  void apply(const TokenRecord& record);
  void apply(const AuditRecord& record) { advance(record.stamp); }
  void apply(const PulseRecord& record) { advance(record.stamp); }
  // Any other record: only the LSN and the time move on.
  void advance(Stamp stamp);
};

// Names of volumes are 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit; labels of
// marks are 1 to 128 bytes of UTF-8 without control characters. EINVAL says what is wrong.
Status check_volume_name(std::string_view name);
Status check_mark_label(std::string_view label);
// Names of users are 1 to 64 of A-Z a-z 0-9 . _ @ - and begin with a letter or digit.
Status check_user_name(std::string_view name);
// Verifiers of passwords are at most 128 bytes of UTF-8 without control characters.
Status check_verifier(std::string_view verifier);
// Labels of tokens are as those of marks.
Status check_token_label(std::string_view label);
// The texts of an audit, and their lengths.
Status check_audit(const AuditRecord& record);

}  // namespace journal
