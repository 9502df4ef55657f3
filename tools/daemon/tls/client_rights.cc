// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/tls/client_rights.h"

#include <algorithm>
#include <utility>

#include "cdp/base/check.h"
#include "journal/state.h"

namespace tools {
namespace {

constexpr std::string_view kAll = "*";
constexpr std::string_view kIdPrefix = "id:";
constexpr std::string_view kBlanks = " \t";

// Takes the last word off `text`, with the blanks around it.
std::string_view take_last_word(std::string_view& text) {
  text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
  const std::size_t begin = text.find_last_of(kBlanks) + 1;  // 0 where there is none
  const std::string_view word = text.substr(begin);
  text = text.substr(0, begin);
  text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
  return word;
}

}  // namespace

std::string_view word_of(ClientRight right) {
  return right == ClientRight::kLive ? "live" : "views";
}

cdp::Result<ClientRights::Entry> ClientRights::parse(std::string_view text) {
  std::string_view rest = text;
  const std::string_view volume = take_last_word(rest);
  const std::string_view right = take_last_word(rest);
  rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(kBlanks)));
  if (rest.empty() || (right != "live" && right != "views")) {
    return cdp::make_error(EINVAL,
                           "\"{}\" is no right: write \"NAME live VOLUME\" or \"NAME views "
                           "VOLUME\", NAME being a client's and VOLUME a name, id:UUID or *",
                           text);
  }
  if (volume.starts_with(kIdPrefix)) {
    const auto uuid = journal::Uuid::parse(volume.substr(kIdPrefix.size()));
    if (!uuid) return uuid.error();
  } else if (volume != kAll) {
    cdp::Status sound = journal::check_volume_name(volume);
    if (!sound) return std::move(sound).error();
  }
  return Entry{std::string{rest}, right == "live" ? ClientRight::kLive : ClientRight::kViews,
               std::string{volume}};
}

cdp::Result<std::string> check_client_right(const std::string& text) {
  const auto entry = ClientRights::parse(text);
  if (!entry) return entry.error();
  return fmt::format("{} {} {}", entry->client, word_of(entry->right), entry->volume);
}

ClientRights::ClientRights(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    auto entry = parse(text);
    CHECK(entry.ok());
    entries_.push_back(*std::move(entry));
  }
}

bool ClientRights::allow(std::string_view client, ClientRight right, std::string_view volume,
                         const journal::Uuid& uuid) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    if (entry.client != client || entry.right != right) return false;
    if (!entry.volume.starts_with(kIdPrefix)) {
      return entry.volume == kAll || entry.volume == volume;
    }
    const auto id = journal::Uuid::parse(entry.volume.substr(kIdPrefix.size()));
    return id.ok() && *id == uuid;
  });
}

}  // namespace tools
