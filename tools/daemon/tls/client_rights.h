// SPDX-License-Identifier: Apache-2.0
//
// What an NBD client may have whose name TLS has proved: the texts of nbd.clients, each "NAME live
// VOLUME" (the writable export of a volume or a clone) or "NAME views VOLUME" (its points,
// read-only). What no text gives, a client has not.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/result.h"
#include "journal/uuid.h"

namespace tools {

enum class ClientRight { kLive, kViews };
std::string_view word_of(ClientRight right);

// The text, with one blank between its words; EINVAL says what is wrong with it. The name may have
// blanks in it.
cdp::Result<std::string> check_client_right(const std::string& text);

class ClientRights {
 public:
  // Texts that were checked.
  explicit ClientRights(const std::vector<std::string>& texts);

  bool names_anybody() const { return !entries_.empty(); }
  // To a volume or a clone that is called so now; an entry may name it, or its UUID, or all (*).
  bool allow(std::string_view client, ClientRight right, std::string_view volume,
             const journal::Uuid& uuid) const;

 private:
  struct Entry {
    std::string client;
    ClientRight right;
    std::string volume;
  };
  static cdp::Result<Entry> parse(std::string_view text);
  friend cdp::Result<std::string> check_client_right(const std::string& text);

  std::vector<Entry> entries_;
};

}  // namespace tools
