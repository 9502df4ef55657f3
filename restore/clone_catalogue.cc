// SPDX-License-Identifier: Apache-2.0
#include "restore/clone_catalogue.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "journal/hash.h"
#include "journal/state.h"

namespace restore {
namespace {

using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

constexpr std::string_view kFirstLine = "hindsight-clones 1\n";

std::string checksum_line(std::string_view text) {
  return fmt::format("checksum {:016x}\n",
                     journal::unkeyed_checksum(std::as_bytes(std::span{text})));
}

// What lies before `end`, taken off with it; nothing where there is no `end`.
std::optional<std::string_view> take_until(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at + 1);
  return taken;
}

// Digits only, as they are written: no sign, no leading zeroes.
template <typename T>
bool take_number(std::string_view& line, T& into) {
  const auto field = take_until(line, ' ');
  if (!field || field->empty() || (field->size() > 1 && field->front() == '0')) return false;
  const char* const end = field->data() + field->size();
  if (!std::all_of(field->data(), end, [](char c) { return c >= '0' && c <= '9'; })) return false;
  const auto [stopped, error] = std::from_chars(field->data(), end, into);
  return error == std::errc{} && stopped == end;
}

std::optional<CloneEntry> decode_clone(std::string_view line) {
  CloneEntry entry;
  const auto kind = take_until(line, ' ');
  const auto uuid = take_until(line, ' ');
  if (!kind || *kind != "clone" || !uuid) return std::nullopt;
  const Result<journal::Uuid> parsed = journal::Uuid::parse(*uuid);
  if (!parsed.ok() || parsed->to_string() != *uuid) return std::nullopt;
  entry.uuid = *parsed;
  if (!take_number(line, entry.volume.value) || !take_number(line, entry.lsn.value) ||
      !take_number(line, entry.size_bytes) || !take_number(line, entry.created.value)) {
    return std::nullopt;
  }
  entry.name = line;
  if (!journal::check_volume_name(entry.name).ok()) return std::nullopt;
  return entry;
}

bool contains(const std::vector<CloneEntry>& clones, const CloneEntry& entry) {
  return std::any_of(clones.begin(), clones.end(), [&](const CloneEntry& other) {
    return other.name == entry.name || other.uuid == entry.uuid;
  });
}

}  // namespace

std::string encode_clones(const std::vector<CloneEntry>& clones) {
  std::string text{kFirstLine};
  for (const CloneEntry& clone : clones) {
    text += fmt::format("clone {} {} {} {} {} {}\n", clone.uuid.to_string(), clone.volume.value,
                        clone.lsn.value, clone.size_bytes, clone.created.value, clone.name);
  }
  return text + checksum_line(text);
}

Result<std::vector<CloneEntry>> decode_clones(std::string_view text) {
  const std::size_t last_line =
      text.size() < 2 ? std::string_view::npos : text.rfind('\n', text.size() - 2);
  if (!text.starts_with(kFirstLine)) {
    return make_error(EIO, "the list of clones is damaged, or of another version");
  }
  if (last_line == std::string_view::npos ||
      text.substr(last_line + 1) != checksum_line(text.substr(0, last_line + 1))) {
    return make_error(EIO, "the list of clones is damaged: its checksum does not match");
  }
  std::string_view rest = text.substr(kFirstLine.size(), last_line + 1 - kFirstLine.size());
  std::vector<CloneEntry> clones;
  while (!rest.empty()) {
    const std::optional<CloneEntry> entry = decode_clone(*take_until(rest, '\n'));
    if (!entry || contains(clones, *entry)) {
      return make_error(EIO, "the list of clones has a line {} that this version does not know",
                        clones.size() + 2);
    }
    clones.push_back(*entry);
  }
  return clones;
}

Task<Result<CloneCatalogue>> CloneCatalogue::open(cdp::Directory& directory) {
  CloneCatalogue catalogue{directory};
  Result<std::vector<std::byte>> bytes = co_await directory.read_small(kFileName);
  if (!bytes.ok() && bytes.error().code == ENOENT) co_return std::move(catalogue);
  if (!bytes.ok()) co_return std::move(bytes).error();
  Result<std::vector<CloneEntry>> clones =
      decode_clones({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (!clones.ok()) co_return std::move(clones).error();
  catalogue.clones_ = *std::move(clones);
  co_return std::move(catalogue);
}

const CloneEntry* CloneCatalogue::find(std::string_view name) const {
  const auto found = std::find_if(clones_.begin(), clones_.end(),
                                  [&](const CloneEntry& clone) { return clone.name == name; });
  return found == clones_.end() ? nullptr : &*found;
}

Task<Status> CloneCatalogue::add(CloneEntry entry) {
  Status named = journal::check_volume_name(entry.name);
  if (!named.ok()) co_return named;
  if (contains(clones_, entry)) {
    co_return make_error(EEXIST, "there is a clone named {} already", entry.name);
  }
  std::vector<CloneEntry> clones = clones_;
  clones.push_back(std::move(entry));
  co_return co_await store(std::move(clones));
}

Task<Status> CloneCatalogue::remove(std::string name) {
  std::vector<CloneEntry> clones = clones_;
  const std::size_t erased =
      std::erase_if(clones, [&](const CloneEntry& clone) { return clone.name == name; });
  if (erased == 0) co_return make_error(ENOENT, "there is no clone named {}", name);
  co_return co_await store(std::move(clones));
}

Task<Status> CloneCatalogue::store(std::vector<CloneEntry> clones) {
  const std::string text = encode_clones(clones);
  const auto* from = reinterpret_cast<const std::byte*>(text.data());
  std::vector<std::byte> bytes{from, from + text.size()};
  Status written = co_await directory_->write_small(kFileName, std::move(bytes));
  if (written.ok()) clones_ = std::move(clones);
  co_return written;
}

}  // namespace restore
