// SPDX-License-Identifier: Apache-2.0
#include "journal/state_codec.h"

#include <type_traits>
#include <variant>

namespace journal {

std::vector<RecordEncoder> encode_state(const JournalState& state, std::size_t frame_record_bytes) {
  std::vector<RecordEncoder> frames(1);
  const auto add = [&](const auto& record) {
    if (frames.back().bytes().size() >= frame_record_bytes) frames.emplace_back();
    frames.back().add(record);
  };
  add(StateVaultRecord{.stamp = {state.lsn, state.time}, .next_volume_id = state.next_volume_id});
  for (const auto& [id, volume] : state.volumes) {
    add(StateVolumeRecord{volume});
    for (const VolumeState::Rollback& rollback : volume.rollbacks)
      add(RollbackRecord{.stamp = rollback.stamp,
                         .point = rollback.point,
                         .volumes = {{id, rollback.size_bytes}},
                         .author = rollback.author,
                         .refuse_writers = rollback.refuse_writers});
    for (const VolumeState::Gap& gap : volume.gaps) {
      add(GapRecord{.volume = id, .stamp = gap.begin, .cause = gap.cause});
      if (gap.end.has_value()) add(GapRecord{.volume = id, .stamp = *gap.end, .is_over = true});
    }
  }
  for (const auto& [label, mark] : state.marks) add(mark);
  for (const CrashRecord& crash : state.crashes) add(crash);
  if (state.clock.has_value()) add(*state.clock);
  for (const auto& [name, user] : state.users) add(user);
  for (const auto& [digest, token] : state.tokens) add(token);
  return frames;
}

Status add_to_state(JournalState& state, const AnyRecord& record) {
  if (const auto* vault = std::get_if<StateVaultRecord>(&record)) {
    state.lsn = vault->stamp.lsn;
    state.time = vault->stamp.time;
    state.next_volume_id = vault->next_volume_id;
  } else if (const auto* volume = std::get_if<StateVolumeRecord>(&record)) {
    state.volumes[volume->volume.id] = volume->volume;
  } else if (const auto* rollback = std::get_if<RollbackRecord>(&record)) {
    for (const RollbackRecord::Volume& rolled : rollback->volumes) {
      const auto at = state.volumes.find(rolled.volume);
      if (at == state.volumes.end())
        return make_error(EIO, "a state frame rolls back volume number {}, which it does not name",
                          rolled.volume.value);
      at->second.rollbacks.push_back({.stamp = rollback->stamp,
                                      .point = rollback->point,
                                      .size_bytes = rolled.size_bytes,
                                      .author = rollback->author,
                                      .refuse_writers = rollback->refuse_writers});
    }
  } else if (const auto* gap = std::get_if<GapRecord>(&record)) {
    const auto at = state.volumes.find(gap->volume);
    if (at == state.volumes.end())
      return make_error(EIO, "a state frame has a gap of volume number {}, which it does not name",
                        gap->volume.value);
    at->second.add(*gap);
  } else if (const auto* mark = std::get_if<MarkRecord>(&record)) {
    state.marks[mark->label] = *mark;
  } else if (const auto* crash = std::get_if<CrashRecord>(&record)) {
    state.crashes.push_back(*crash);
  } else if (const auto* clock = std::get_if<ClockRecord>(&record)) {
    state.clock = *clock;
  } else if (const auto* user = std::get_if<UserRecord>(&record)) {
    state.users[user->name] = *user;
    if (user->is_removed)  // named again, after its tokens
      std::erase_if(state.tokens, [&](const auto& of) { return of.second.user == user->name; });
  } else if (const auto* token = std::get_if<TokenRecord>(&record)) {
    if (state.find_user(token->user) == nullptr)
      return make_error(EIO, "a state frame has a token of the user {}, whom it does not name",
                        token->user);
    state.tokens[token->digest] = *token;
  } else {
    return make_error(EIO, "a state frame holds a record that is not of the state");
  }
  return {};
}

Status add_state_frame(JournalState& state, const FrameHeader& frame, const Vault& vault,
                       std::span<const std::byte> metadata) {
  Result<RecordDecoder> records = RecordDecoder::open(frame, vault, metadata);
  if (!records.ok()) return records.error();
  while (!records->at_end()) {
    Result<AnyRecord> record = records->next();
    if (!record.ok()) return record.error();
    Status added = add_to_state(state, *record);
    if (!added.ok()) return added;
  }
  return {};
}

void apply_record(JournalState& state, const AnyRecord& record) {
  std::visit(
      [&state](const auto& of) {
        using Type = std::decay_t<decltype(of)>;
        if constexpr (std::is_same_v<Type, WriteRecord> || std::is_same_v<Type, ZeroRecord>)
          state.advance(of.stamp);
        else if constexpr (!std::is_same_v<Type, FooterRecord> &&
                           !std::is_same_v<Type, StateVaultRecord> &&
                           !std::is_same_v<Type, StateVolumeRecord>)
          state.apply(of);
      },
      record);
}

}  // namespace journal
