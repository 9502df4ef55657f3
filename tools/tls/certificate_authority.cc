// SPDX-License-Identifier: Apache-2.0
#include "tools/tls/certificate_authority.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <optional>
#include <utility>

#include "tools/files/directory.h"
#include "tools/tls/certificate.h"

namespace tools::tls {
namespace {

using cdp::make_error;
using cdp::Result;
using cdp::Status;
using files::Directory;
using files::NewFile;
using Secrecy = Directory::Secrecy;

constexpr char kAuthorityCertificate[] = "ca.crt";
constexpr char kAuthorityKey[] = "ca.key";
constexpr char kServerCertificate[] = "server.crt";
constexpr char kServerKey[] = "server.key";
constexpr char kClients[] = "clients";

constexpr std::int64_t kDay = 24 * 3600;
constexpr std::int64_t kClockSkew = 3600;   // clients' clocks may be a little behind
constexpr std::size_t kCommonNameMax = 64;  // RFC 5280, ub-common-name
constexpr mode_t kKeyMode = 0600;
constexpr mode_t kCertificateMode = 0644;

struct Authority {
  Certificate certificate;
  Key key;
};

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

cdp::Error with_path(const cdp::Error& error, const std::string& path) {
  return make_error(error.code, "{}: {}", path, error.message);
}

Result<Certificate> read_certificate(const Directory& directory, const std::string& name) {
  const Result<std::string> pem = directory.read(name, Secrecy::kPublic);
  if (!pem.ok()) return pem.error();
  Result<std::vector<Certificate>> read = certificates_of_pem(*pem);
  if (!read.ok()) return with_path(read.error(), directory.path_of(name));
  return std::move(read->front());
}

Result<Key> read_key(const Directory& directory, const std::string& name) {
  const Result<std::string> pem = directory.read(name, Secrecy::kSecret);
  if (!pem.ok()) return pem.error();
  Result<Key> key = key_of_pem(*pem);
  if (!key.ok()) return with_path(key.error(), directory.path_of(name));
  return key;
}

Status check_days(int days) {
  if (days >= 1 && days <= kDaysMax) return {};
  return make_error(EINVAL, "a certificate is valid for 1 to {} days, not {}", kDaysMax, days);
}

Result<Authority> make_authority_now(std::int64_t now) {
  Result<Key> key = make_key();
  if (!key.ok()) return std::move(key).error();
  // Two CAs of one name would be taken for one another by who trusts both.
  std::string name = fmt::format("CA of {} since {}", host_name(), moment_text(now));
  name.resize(std::min(name.size(), kCommonNameMax));
  Result<Certificate> made =
      make_authority(key->get(), name, {now - kClockSkew, now + kDaysMax * kDay});
  if (!made.ok()) return std::move(made).error();
  return Authority{std::move(made).value(), std::move(key).value()};
}

// Nothing where neither of its files is there.
Result<std::optional<Authority>> read_authority(const Directory& directory, std::int64_t now) {
  const bool has_certificate = directory.has(kAuthorityCertificate);
  const bool has_key = directory.has(kAuthorityKey);
  if (!has_certificate && !has_key) return std::optional<Authority>{};
  if (!has_certificate || !has_key) {
    return make_error(ENOENT,
                      "{} holds {} and not {}: put the missing one back, or move the other one "
                      "away, and a new CA is made",
                      directory.path(), has_key ? kAuthorityKey : kAuthorityCertificate,
                      has_key ? kAuthorityCertificate : kAuthorityKey);
  }
  Result<Certificate> certificate = read_certificate(directory, kAuthorityCertificate);
  if (!certificate.ok()) return std::move(certificate).error();
  Result<Key> key = read_key(directory, kAuthorityKey);
  if (!key.ok()) return std::move(key).error();
  if (X509_check_private_key(certificate->get(), key->get()) != 1) {
    return make_error(EINVAL, "{} is not the key of {}: put the right one back",
                      directory.path_of(kAuthorityKey), directory.path_of(kAuthorityCertificate));
  }
  if (lifetime_of(certificate->get()).not_after <= now) {
    return make_error(EKEYEXPIRED,
                      "the CA in {} expired at {}: move {} and {} away, and a new one is made, "
                      "which every client must be given",
                      directory.path(), moment_text(lifetime_of(certificate->get()).not_after),
                      kAuthorityCertificate, kAuthorityKey);
  }
  return std::optional{Authority{std::move(certificate).value(), std::move(key).value()}};
}

Lifetime leaf_lifetime(const Authority& authority, std::int64_t now, int days) {
  return {now - kClockSkew,
          std::min(now + days * kDay, lifetime_of(authority.certificate.get()).not_after)};
}

// The asked ones first, and none twice.
std::vector<std::string> with_local_names(std::vector<std::string> names) {
  std::vector<std::string> local{host_name(), "localhost", "127.0.0.1", "::1"};
  if (!check_host_name(local.front()).ok()) local.erase(local.begin());
  for (std::string& name : local) names.push_back(std::move(name));
  std::vector<std::string> unique;
  for (std::string& name : names) {
    if (std::find(unique.begin(), unique.end(), name) == unique.end()) unique.push_back(name);
  }
  return unique;
}

bool is_client_name(const std::string& name) {
  const auto fine = [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-');
  };
  return !name.empty() && name.size() <= kCommonNameMax &&
         std::all_of(name.begin(), name.end(), fine) &&
         std::isalnum(static_cast<unsigned char>(name.front())) != 0;
}

Issued issued(const Authority& authority, X509* certificate, std::string directory) {
  Issued report;
  report.directory = std::move(directory);
  report.names = names_of(certificate);
  report.not_after = lifetime_of(certificate).not_after;
  report.fingerprint = fingerprint_of(certificate);
  report.authority_fingerprint = fingerprint_of(authority.certificate.get());
  return report;
}

}  // namespace

Result<Issued> issue_server(const ServerRequest& request) {
  Status fine = check_days(request.days);
  for (const std::string& name : request.names) {
    if (fine.ok()) fine = check_host_name(name);
  }
  if (!fine.ok()) return std::move(fine).error();
  const std::int64_t now = std::time(nullptr);
  // Clients that are the appliance's own users may read the certificates.
  Result<Directory> directory = Directory::open_or_make(request.directory, 0750);
  if (!directory.ok()) return std::move(directory).error();
  if (Status locked = directory->lock(); !locked.ok()) return std::move(locked).error();

  std::vector<NewFile> files;
  Result<std::optional<Authority>> kept = read_authority(*directory, now);
  if (!kept.ok()) return std::move(kept).error();
  const bool is_new = !kept->has_value();
  if (is_new) {
    Result<Authority> made = make_authority_now(now);
    if (!made.ok()) return std::move(made).error();
    *kept = std::move(made).value();
    files.push_back({kAuthorityKey, pem_of((*kept)->key.get()), kKeyMode});
    files.push_back({kAuthorityCertificate, pem_of((*kept)->certificate.get()), kCertificateMode});
  }
  const Authority& authority = **kept;

  std::vector<std::string> names = request.names;
  if (names.empty() && directory->has(kServerCertificate)) {
    Result<Certificate> present = read_certificate(*directory, kServerCertificate);
    if (!present.ok()) return std::move(present).error();
    names = names_of(present->get());
  }
  names = with_local_names(std::move(names));

  // On the key that there is, so that a renewal changes one file, at once.
  std::optional<Key> key;
  if (directory->has(kServerKey)) {
    Result<Key> present = read_key(*directory, kServerKey);
    if (!present.ok()) return std::move(present).error();
    key = std::move(present).value();
  } else {
    Result<Key> made = make_key();
    if (!made.ok()) return std::move(made).error();
    key = std::move(made).value();
    files.push_back({kServerKey, pem_of(key->get()), kKeyMode});
  }
  Subject subject{names.front(), names};
  subject.common_name.resize(std::min(subject.common_name.size(), kCommonNameMax));
  Result<Certificate> made =
      make_certificate(authority.certificate.get(), authority.key.get(), key->get(),
                       Purpose::kServer, subject, leaf_lifetime(authority, now, request.days));
  if (!made.ok()) return std::move(made).error();
  files.push_back({kServerCertificate, pem_of(made->get()), kCertificateMode});
  if (Status written = directory->write(files); !written.ok()) return std::move(written).error();
  Issued report = issued(authority, made->get(), request.directory);
  report.made_authority = is_new;
  return report;
}

Result<Issued> issue_client(const ClientRequest& request) {
  if (!is_client_name(request.name)) {
    return make_error(EINVAL,
                      "\"{}\" is no name of a client: 1 to 64 of A-Z a-z 0-9 . _ -, the first a "
                      "letter or digit",
                      request.name);
  }
  if (Status fine = check_days(request.days); !fine.ok()) return std::move(fine).error();
  const std::int64_t now = std::time(nullptr);
  const auto no_authority = [&request] {
    return make_error(ENOENT, "there is no CA in {}: `hindsight tls init` makes one",
                      request.directory);
  };
  Result<Directory> directory = Directory::open(request.directory);
  if (!directory.ok() && directory.error().code == ENOENT) return no_authority();
  if (!directory.ok()) return std::move(directory).error();
  if (Status locked = directory->lock(); !locked.ok()) return std::move(locked).error();
  Result<std::optional<Authority>> authority = read_authority(*directory, now);
  if (!authority.ok()) return std::move(authority).error();
  if (!authority->has_value()) return no_authority();

  Result<Directory> clients = directory->open_or_make_below(kClients, 0700);
  if (!clients.ok()) return std::move(clients).error();
  if (clients->has(request.name) && !request.replace) {
    return make_error(EEXIST,
                      "the client {} has a certificate already, in {}: --force makes another one "
                      "in its place",
                      request.name, clients->path_of(request.name));
  }
  Result<Key> key = make_key();
  if (!key.ok()) return std::move(key).error();
  X509* const signer = (*authority)->certificate.get();
  Result<Certificate> made =
      make_certificate(signer, (*authority)->key.get(), key->get(), Purpose::kClient,
                       {request.name, {}}, leaf_lifetime(**authority, now, request.days));
  if (!made.ok()) return std::move(made).error();
  Status written =
      clients->write_directory(request.name,
                               {{"ca-cert.pem", pem_of(signer), kCertificateMode},
                                {"client-cert.pem", pem_of(made->get()), kCertificateMode},
                                {"client-key.pem", pem_of(key->get()), kKeyMode}},
                               request.replace);
  if (!written.ok()) return std::move(written).error();
  return issued(**authority, made->get(), clients->path_of(request.name));
}

}  // namespace tools::tls
