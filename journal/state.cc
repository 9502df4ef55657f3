// SPDX-License-Identifier: Apache-2.0
#include "journal/state.h"

#include <algorithm>

#include "cdp/base/utf8.h"

namespace journal {

const VolumeState* JournalState::find(std::string_view name) const {
  const VolumeState* found = nullptr;
  for (const auto& [id, volume] : volumes) {
    if (volume.name != name) continue;
    if (!volume.removed.has_value()) return &volume;
    found = &volume;
  }
  return found;
}

const VolumeState* JournalState::find(VolumeId id) const {
  const auto found = volumes.find(id);
  return found == volumes.end() ? nullptr : &found->second;
}

const VolumeState* JournalState::find(const Uuid& uuid) const {
  for (const auto& [id, volume] : volumes)
    if (volume.uuid == uuid) return &volume;
  return nullptr;
}

const UserRecord* JournalState::find_user(std::string_view name) const {
  const auto found = users.find(name);
  return found == users.end() || found->second.is_removed ? nullptr : &found->second;
}

void JournalState::advance(Stamp stamp) {
  lsn = stamp.lsn;
  time = stamp.time;
}

void JournalState::apply(const VolumeCreated& record) {
  advance(record.stamp);
  volumes[record.volume] = {.id = record.volume,
                            .uuid = record.uuid,
                            .name = record.name,
                            .backing = record.backing,
                            .size_bytes = record.size_bytes,
                            .created = record.stamp,
                            .removed = std::nullopt,
                            .checkpoint = record.stamp.lsn,
                            .rollbacks = {},
                            .gaps = {},
                            .origin = std::nullopt,
                            .hydration = std::nullopt,
                            .writers_refused = false};
  next_volume_id = std::max(next_volume_id, record.volume.value + 1);
}

void JournalState::apply(const VolumeCreatedFrom& record) {
  apply(VolumeCreated{.volume = record.volume,
                      .stamp = record.stamp,
                      .uuid = record.uuid,
                      .size_bytes = record.size_bytes,
                      .name = record.name,
                      .backing = record.backing});
  VolumeState& volume = volumes[record.volume];
  volume.origin = {record.origin, record.point};
  volume.hydration = Hydration{};  // of all that is visible, the new store has nothing
}

// A record about a volume that is not there cannot come from this program, but may be read after
// damage: it moves the LSN on and nothing else.
void JournalState::apply(const VolumeResized& record) {
  advance(record.stamp);
  if (const auto at = volumes.find(record.volume); at != volumes.end())
    at->second.size_bytes = record.size_bytes;
}

void JournalState::apply(const VolumeRenamed& record) {
  advance(record.stamp);
  if (const auto at = volumes.find(record.volume); at != volumes.end())
    at->second.name = record.name;
}

void JournalState::apply(const VolumeRemoved& record) {
  advance(record.stamp);
  if (const auto at = volumes.find(record.volume); at != volumes.end())
    at->second.removed = record.stamp;
}

void JournalState::apply(const MarkRecord& record) {
  advance(record.stamp);
  marks[record.label] = record;
}

void JournalState::apply(const RollbackRecord& record) {
  advance(record.stamp);
  for (const RollbackRecord::Volume& rolled : record.volumes) {
    const auto at = volumes.find(rolled.volume);
    if (at == volumes.end()) continue;
    VolumeState& volume = at->second;
    volume.rollbacks.push_back({.stamp = record.stamp,
                                .point = record.point,
                                .size_bytes = rolled.size_bytes,
                                .author = record.author,
                                .refuse_writers = record.refuse_writers});
    volume.size_bytes = rolled.size_bytes;
    // While it still hydrates after an earlier one, what it lacked then counts too.
    const Lsn base = volume.hydration.has_value()
                         ? std::min(volume.hydration->base, volume.checkpoint)
                         : volume.checkpoint;
    volume.hydration = Hydration{.cursor = 0, .base = base};
    if (record.refuse_writers) volume.writers_refused = true;
  }
}

// The end of none, or a beginning inside of one, says nothing that is not known.
void VolumeState::add(const GapRecord& record) {
  if (record.is_over != is_in_gap()) return;
  if (record.is_over)
    gaps.back().end = record.stamp;
  else
    gaps.push_back({.begin = record.stamp, .end = std::nullopt, .cause = record.cause});
}

void JournalState::apply(const GapRecord& record) {
  advance(record.stamp);
  if (const auto at = volumes.find(record.volume); at != volumes.end()) at->second.add(record);
}

void JournalState::apply(const VolumeResumed& record) {
  advance(record.stamp);
  if (const auto at = volumes.find(record.volume); at != volumes.end())
    at->second.writers_refused = false;
}

void JournalState::apply(const CheckpointRecord& record) {
  advance(record.stamp);
  const auto at = volumes.find(record.volume);
  if (at == volumes.end()) return;
  at->second.checkpoint = std::max(at->second.checkpoint, record.covered);
  at->second.hydration = record.hydration;
}

void JournalState::apply(const CrashRecord& record) {
  advance(record.stamp);
  crashes.push_back(record);
}

void JournalState::apply(const ClockRecord& record) {
  advance(record.stamp);
  clock = record;
}

void JournalState::apply(const UserRecord& record) {
  advance(record.stamp);
  users[record.name] = record;
  if (record.is_removed)
    std::erase_if(tokens, [&](const auto& of) { return of.second.user == record.name; });
}

// One of a user that is not there may be read after damage: nobody may come in with it.
void JournalState::apply(const TokenRecord& record) {
  advance(record.stamp);
  std::erase_if(tokens, [&](const auto& of) { return of.second.expires <= record.stamp.time; });
  if (record.is_revoked || find_user(record.user) == nullptr)
    tokens.erase(record.digest);
  else
    tokens[record.digest] = record;
}

namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Letters, digits and `others`, after a letter or digit.
bool is_name(std::string_view name, std::size_t longest, std::string_view others) {
  const auto allowed = [others](char c) {
    return is_alphanumeric(c) || others.find(c) != std::string_view::npos;
  };
  return !name.empty() && name.size() <= longest && is_alphanumeric(name.front()) &&
         std::all_of(name.begin(), name.end(), allowed);
}

bool is_text(std::string_view text) {
  const auto control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  };
  return std::none_of(text.begin(), text.end(), control) && cdp::is_utf8(text);
}

}  // namespace

Status check_user_name(std::string_view name) {
  if (!is_name(name, kUserNameBytesMax, "._@-"))
    return make_error(EINVAL,
                      "'{}' cannot be the name of a user: names are 1 to {} letters, digits, "
                      "'.', '_', '@' and '-', and begin with a letter or digit",
                      name, kUserNameBytesMax);
  return {};
}

Status check_verifier(std::string_view verifier) {
  if (verifier.size() > kVerifierBytesMax || !is_text(verifier))
    return make_error(EINVAL,
                      "the verifier of a password is at most {} bytes of UTF-8 without control "
                      "characters",
                      kVerifierBytesMax);
  return {};
}

Status check_token_label(std::string_view label) {
  if (label.empty() || label.size() > kTokenLabelBytesMax || !is_text(label))
    return make_error(EINVAL,
                      "a token's label is 1 to {} bytes of UTF-8 without control characters",
                      kTokenLabelBytesMax);
  return {};
}

Status check_audit(const AuditRecord& record) {
  struct Text {
    const char* what;
    const std::string& text;
    std::size_t longest;
  };
  for (const Text& of : {Text{"actor", record.actor, kAuditActorBytesMax},
                         Text{"origin", record.origin, kAuditActorBytesMax},
                         Text{"act", record.act, kAuditActBytesMax},
                         Text{"detail", record.detail, kAuditDetailBytesMax}}) {
    if (of.text.size() > of.longest || !is_text(of.text))
      return make_error(
          EINVAL, "the {} of an audit is at most {} bytes of UTF-8 without control characters",
          of.what, of.longest);
  }
  if (record.act.empty()) return make_error(EINVAL, "an audit names its act");
  return {};
}

Status check_volume_name(std::string_view name) {
  constexpr std::size_t longest = 64;
  if (!is_name(name, longest, "._-"))
    return make_error(EINVAL,
                      "'{}' cannot be the name of a volume: names are 1 to {} letters, digits, "
                      "'.', '_' and '-', and begin with a letter or digit",
                      name, longest);
  return {};
}

Status check_mark_label(std::string_view label) {
  constexpr std::size_t longest = 128;
  const auto control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  };
  if (label.empty() || label.size() > longest || std::any_of(label.begin(), label.end(), control))
    return make_error(EINVAL, "a mark's label is 1 to {} bytes of text without control characters",
                      longest);
  return {};
}

}  // namespace journal
