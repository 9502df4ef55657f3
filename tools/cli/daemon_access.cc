// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/daemon_access.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "tools/tls/certificate.h"

namespace tools::cli {

using api::Client;
using api::ServerAddress;
using cdp::make_error;
using cdp::Result;

Result<std::optional<StoredLogin>> stored_login(const ServerAddress& server) {
  if (server.kind == ServerAddress::Kind::kUnix) return std::optional<StoredLogin>{};
  const Result<CredentialStore> store = CredentialStore::of_user();
  // A service without a home has stored nothing.
  if (!store.ok()) return std::optional<StoredLogin>{};
  return store->find(server.text());
}

Result<std::string> read_named_ca(const CommandLine& line) {
  if (line.ca_file.empty()) return std::string{};
  errno = 0;
  std::ifstream file{line.ca_file, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  if (!file) {
    return cdp::errno_error(errno != 0 ? errno : EIO, "reading the CA of --ca, " + line.ca_file);
  }
  Result<std::vector<tls::Certificate>> certificates = tls::certificates_of_pem(text);
  if (!certificates.ok()) {
    return make_error(EINVAL, "the CA of --ca, {}: {}", line.ca_file, certificates.error().message);
  }
  std::string pem;
  for (const tls::Certificate& one : *certificates) pem += tls::pem_of(one.get());
  return pem;
}

Result<Client> make_client(const CommandLine& line) {
  Result<ServerAddress> server = api::parse_server_address(line.server);
  if (!server.ok()) return std::move(server).error();
  Client::Credentials credentials;
  Result<std::string> ca = read_named_ca(line);
  if (!ca.ok()) return std::move(ca).error();
  credentials.ca_pem = std::move(ca).value();
  const char* const token = std::getenv(kTokenVariable);
  if (token != nullptr) credentials.token = token;
  if (credentials.token.empty() || credentials.ca_pem.empty()) {
    Result<std::optional<StoredLogin>> stored = stored_login(*server);
    if (!stored.ok()) return std::move(stored).error();
    if (stored->has_value()) {
      if (credentials.token.empty()) credentials.token = (*stored)->token;
      if (credentials.ca_pem.empty()) credentials.ca_pem = (*stored)->ca_pem;
    }
  }
  return Client::make(line.server, std::move(credentials));
}

}  // namespace tools::cli
