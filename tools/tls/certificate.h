// SPDX-License-Identifier: Apache-2.0
//
// Keys and certificates of a small private CA, by OpenSSL: ECDSA on P-256, which GnuTLS and OpenSSL
// both take in every version that speaks TLS 1.3. Nothing here touches a file.
//
// Lifetimes are RAII; errors are sentences with OpenSSL's reason.
#pragma once

#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/result.h"

namespace tools::tls {

template <auto free>
struct FreedBy {
  template <typename T>
  void operator()(T* object) const {
    free(object);
  }
};
using Certificate = std::unique_ptr<X509, FreedBy<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;

cdp::Result<Key> make_key();
std::string pem_of(EVP_PKEY* key);  // PKCS #8, not encrypted
std::string pem_of(X509* certificate);
cdp::Result<Key> key_of_pem(std::string_view pem);
// Every certificate of the text, at least one.
cdp::Result<std::vector<Certificate>> certificates_of_pem(std::string_view pem);

// Seconds since 1970.
struct Lifetime {
  std::int64_t not_before = 0;
  std::int64_t not_after = 0;
};
Lifetime lifetime_of(X509* certificate);

enum class Purpose { kServer, kClient };
struct Subject {
  std::string common_name;           // 1 to 64 characters of UTF-8
  std::vector<std::string> names{};  // subject alternative names: host names and IP addresses
};

// Signed by itself; may sign certificates of hosts, and no other CA's.
cdp::Result<Certificate> make_authority(EVP_PKEY* key, const std::string& common_name,
                                        Lifetime lifetime);
cdp::Result<Certificate> make_certificate(X509* authority, EVP_PKEY* authority_key, EVP_PKEY* key,
                                          Purpose purpose, const Subject& subject,
                                          Lifetime lifetime);

// Its subject alternative names: host names and IP addresses, as they are written.
std::vector<std::string> names_of(X509* certificate);
// "AB:CD:..." of SHA-256.
std::string fingerprint_of(X509* certificate);
// "2027-02-23 10:56:00 UTC"
std::string moment_text(std::int64_t seconds);

// EINVAL for what is neither a host name nor an IP address; "*.example.com" is one.
cdp::Status check_host_name(const std::string& name);

}  // namespace tools::tls
