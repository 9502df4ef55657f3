// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/tools/certificate_files.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <cstring>
#include <memory>

#include "cdp/base/check.h"

namespace tools {

void write_certificate(const std::filesystem::path& certificate_path,
                       const std::filesystem::path& key_path, const char* passphrase) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{
      EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), EVP_PKEY_free};
  const std::unique_ptr<X509, decltype(&X509_free)> certificate{X509_new(), X509_free};
  CHECK(key != nullptr && certificate != nullptr);
  constexpr long kDay = 24L * 60 * 60;
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kDay);
  X509_NAME* const name = X509_get_subject_name(certificate.get());
  const auto* const host = reinterpret_cast<const unsigned char*>("localhost");
  CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0) == 1);
  CHECK(X509_set_issuer_name(certificate.get(), name) == 1);
  CHECK(X509_set_pubkey(certificate.get(), key.get()) == 1);
  CHECK(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);
  const std::unique_ptr<FILE, decltype(&std::fclose)> certificate_file{
      std::fopen(certificate_path.c_str(), "w"), std::fclose};
  CHECK(PEM_write_X509(certificate_file.get(), certificate.get()) == 1);
  const std::unique_ptr<FILE, decltype(&std::fclose)> key_file{std::fopen(key_path.c_str(), "w"),
                                                               std::fclose};
  CHECK(PEM_write_PKCS8PrivateKey(key_file.get(), key.get(),
                                  passphrase != nullptr ? EVP_aes_256_cbc() : nullptr, passphrase,
                                  passphrase != nullptr ? static_cast<int>(strlen(passphrase)) : 0,
                                  nullptr, nullptr) == 1);
}

}  // namespace tools
