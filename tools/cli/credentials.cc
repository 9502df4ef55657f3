// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/credentials.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <filesystem>

#include "tools/cli/output.h"
#include "tools/files/directory.h"

namespace tools::cli {
namespace {

namespace json = boost::json;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using files::Directory;

constexpr char kDirectoryName[] = "hindsight";
constexpr char kFileName[] = "credentials.json";
constexpr char kServers[] = "servers";

// The whole document; an empty one where there is no file.
Result<json::object> read_document(const Directory& directory) {
  const Result<std::string> text = directory.read(kFileName, Directory::Secrecy::kSecret);
  if (!text.ok() && text.error().code == ENOENT) return json::object{};
  if (!text.ok()) return text.error();
  boost::system::error_code failed;
  json::value document = json::parse(*text, failed);
  const json::object* const object = document.if_object();
  if (failed || object == nullptr ||
      (object->contains(kServers) && object_of(*object, kServers) == nullptr)) {
    return make_error(EBADMSG,
                      "{} is not what `hindsight login` writes: remove it, and sign in again",
                      directory.path_of(kFileName));
  }
  return std::move(document.as_object());
}

}  // namespace

Result<CredentialStore> CredentialStore::of_user() {
  // The XDG specification has relative paths ignored.
  const char* const configuration = std::getenv("XDG_CONFIG_HOME");
  if (configuration != nullptr && configuration[0] == '/') {
    return CredentialStore{fmt::format("{}/{}", configuration, kDirectoryName)};
  }
  const char* const home = std::getenv("HOME");
  if (home == nullptr || home[0] != '/') {
    return make_error(EINVAL,
                      "where credentials are kept is not known: neither HOME nor XDG_CONFIG_HOME "
                      "is set");
  }
  return CredentialStore{fmt::format("{}/.config/{}", home, kDirectoryName)};
}

std::string CredentialStore::path() const { return fmt::format("{}/{}", directory_, kFileName); }

Result<std::optional<StoredLogin>> CredentialStore::find(const std::string& server) const {
  Result<Directory> directory = Directory::open(directory_);
  if (!directory.ok() && directory.error().code == ENOENT) return std::optional<StoredLogin>{};
  if (!directory.ok()) return std::move(directory).error();
  const Result<json::object> document = read_document(*directory);
  if (!document.ok()) return document.error();
  const json::object* const servers = object_of(*document, kServers);
  const json::object* const entry = servers != nullptr ? object_of(*servers, server) : nullptr;
  if (entry == nullptr) return std::optional<StoredLogin>{};
  return std::optional{StoredLogin{text_of(*entry, "user"), text_of(*entry, "token"),
                                   text_of(*entry, "token_id"), text_of(*entry, "expires"),
                                   text_of(*entry, "ca")}};
}

Status CredentialStore::keep(const std::string& server, const StoredLogin& login) const {
  std::error_code failed;
  std::filesystem::create_directories(std::filesystem::path{directory_}.parent_path(), failed);
  Result<Directory> directory = Directory::open_or_make(directory_, 0700);
  if (!directory.ok()) return std::move(directory).error();
  if (Status locked = directory->lock(); !locked.ok()) return locked;
  Result<json::object> document = read_document(*directory);
  if (!document.ok()) return std::move(document).error();
  json::value& servers = (*document)[kServers];
  if (!servers.is_object()) servers = json::object{};
  json::object entry{{"user", login.user}, {"ca", login.ca_pem}};
  if (!login.token.empty()) {
    entry["token"] = login.token;
    entry["token_id"] = login.token_id;
    entry["expires"] = login.expires;
  }
  servers.as_object()[server] = std::move(entry);
  return directory->write({{kFileName, json::serialize(*document) + "\n", 0600}});
}

}  // namespace tools::cli
