// SPDX-License-Identifier: Apache-2.0
//
// CredentialStore: what `hindsight login` leaves for the commands after it, by server:
// $XDG_CONFIG_HOME/hindsight/credentials.json (~/.config by default), which no other user may read.
//
//   {"servers": {"https://host:8443": {"user", "token", "token_id", "expires", "ca"}}}
//
// "expires" is the daemon's text, "ca" the certificates that are trusted for that server, in PEM.
// One that others can read is refused, not used.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "cdp/base/result.h"

namespace tools::cli {

struct StoredLogin {
  std::string user{};
  std::string token{};  // empty once signed out; the CA stays
  std::string token_id{};
  std::string expires{};
  std::string ca_pem{};
};

class CredentialStore {
 public:
  // `directory` is "hindsight" in the user's directory of configurations.
  explicit CredentialStore(std::string directory) : directory_(std::move(directory)) {}
  // By the environment. EINVAL where neither XDG_CONFIG_HOME nor HOME says where that is.
  static cdp::Result<CredentialStore> of_user();

  // `server` is ServerAddress::text. Nothing where nobody signed in there.
  cdp::Result<std::optional<StoredLogin>> find(const std::string& server) const;
  cdp::Status keep(const std::string& server, const StoredLogin& login) const;

  std::string path() const;

 private:
  std::string directory_;
};

}  // namespace tools::cli
