// SPDX-License-Identifier: Apache-2.0
#include "tools/tls/certificate.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "cdp/base/random_bytes.h"

namespace tools::tls {
namespace {

using cdp::make_error;
using cdp::Result;
using cdp::Status;

using Bio = std::unique_ptr<BIO, FreedBy<BIO_free_all>>;
using BigNumber = std::unique_ptr<BIGNUM, FreedBy<BN_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, FreedBy<X509_EXTENSION_free>>;

constexpr char kOrganisation[] = "Hindsight";
constexpr std::size_t kSerialBytes = 16;
constexpr std::size_t kHostNameBytesMax = 253;
constexpr std::size_t kLabelBytesMax = 63;

cdp::Error failed(std::string_view doing) {
  std::array<char, 256> reason{"no reason given"};
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, reason.data(), reason.size());
  }
  ERR_clear_error();
  return make_error(EIO, "{} failed: {}", doing, reason.data());
}

std::string bytes_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(std::max(size, 0L))};
}

Bio bio_of(std::string_view text) {
  return Bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

bool is_address(const std::string& name) {
  std::array<unsigned char, sizeof(in6_addr)> address;
  return ::inet_pton(AF_INET, name.c_str(), address.data()) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
}

bool set_serial(X509* certificate) {
  std::array<unsigned char, kSerialBytes> bytes;
  cdp::fill_random(std::as_writable_bytes(std::span{bytes}));
  bytes[0] =
      static_cast<unsigned char>((bytes[0] & 0x7fu) | 0x40u);  // positive, and of full length
  const BigNumber number{BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr)};
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_subject(X509* certificate, const std::string& common_name) {
  X509_NAME* const name = X509_get_subject_name(certificate);
  const auto add = [name](const char* field, const std::string& text) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()), -1, 0) == 1;
  };
  return add("O", kOrganisation) && add("CN", common_name);
}

bool set_lifetime(X509* certificate, Lifetime lifetime) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), lifetime.not_before) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), lifetime.not_after) != nullptr;
}

bool add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension{X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str())};
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", is_address(name) ? "IP" : "DNS", name);
  }
  return text;
}

// All but its extensions and its signature.
Certificate begin(EVP_PKEY* key, const std::string& common_name, Lifetime lifetime) {
  Certificate certificate{X509_new()};
  if (certificate == nullptr || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      !set_serial(certificate.get()) || !set_subject(certificate.get(), common_name) ||
      !set_lifetime(certificate.get(), lifetime) || X509_set_pubkey(certificate.get(), key) != 1) {
    return nullptr;
  }
  return certificate;
}

}  // namespace

Result<Key> make_key() {
  Key key{EVP_EC_gen("P-256")};
  if (key == nullptr) return failed("making a key");
  return key;
}

std::string pem_of(EVP_PKEY* key) {
  const Bio bio{BIO_new(BIO_s_secmem())};
  CHECK(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return bytes_of(bio.get());
}

std::string pem_of(X509* certificate) {
  const Bio bio{BIO_new(BIO_s_mem())};
  CHECK(PEM_write_bio_X509(bio.get(), certificate) == 1);
  return bytes_of(bio.get());
}

Result<Key> key_of_pem(std::string_view pem) {
  // No password is asked for: an encrypted key is an error.
  const auto none = [](char*, int, int, void*) { return -1; };
  Key key{PEM_read_bio_PrivateKey(bio_of(pem).get(), nullptr, none, nullptr)};
  if (key == nullptr) return failed("reading a private key");
  return key;
}

Result<std::vector<Certificate>> certificates_of_pem(std::string_view pem) {
  std::vector<Certificate> certificates;
  const Bio bio = bio_of(pem);
  while (Certificate one{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    certificates.push_back(std::move(one));
  }
  const unsigned long last = ERR_peek_last_error();
  const bool at_end =
      ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  if (!at_end) return failed("reading a certificate");
  ERR_clear_error();
  if (certificates.empty()) return make_error(EINVAL, "it holds no certificate in PEM form");
  return certificates;
}

Lifetime lifetime_of(X509* certificate) {
  const auto seconds = [](const ASN1_TIME* moment) -> std::int64_t {
    std::tm parts{};
    if (ASN1_TIME_to_tm(moment, &parts) != 1) return 0;
    return ::timegm(&parts);
  };
  return {seconds(X509_get0_notBefore(certificate)), seconds(X509_get0_notAfter(certificate))};
}

Result<Certificate> make_authority(EVP_PKEY* key, const std::string& common_name,
                                   Lifetime lifetime) {
  Certificate made = begin(key, common_name, lifetime);
  X509* const it = made.get();
  if (it == nullptr || X509_set_issuer_name(it, X509_get_subject_name(it)) != 1 ||
      !add_extension(it, it, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(it, it, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(it, it, NID_subject_key_identifier, "hash") ||
      !add_extension(it, it, NID_authority_key_identifier, "keyid:always") ||
      X509_sign(it, key, EVP_sha256()) == 0) {
    return failed("making the certificate of the CA");
  }
  return made;
}

Result<Certificate> make_certificate(X509* authority, EVP_PKEY* authority_key, EVP_PKEY* key,
                                     Purpose purpose, const Subject& subject, Lifetime lifetime) {
  Certificate made = begin(key, subject.common_name, lifetime);
  X509* const it = made.get();
  const char* const use = purpose == Purpose::kServer ? "serverAuth" : "clientAuth";
  // The key usage is not critical: older QEMU wants keyEncipherment of one that is, which RFC
  // 8813 forbids a key on a curve.
  if (it == nullptr || X509_set_issuer_name(it, X509_get_subject_name(authority)) != 1 ||
      !add_extension(it, authority, NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(it, authority, NID_key_usage, "digitalSignature") ||
      !add_extension(it, authority, NID_ext_key_usage, use) ||
      !add_extension(it, authority, NID_subject_key_identifier, "hash") ||
      !add_extension(it, authority, NID_authority_key_identifier, "keyid:always") ||
      (!subject.names.empty() &&
       !add_extension(it, authority, NID_subject_alt_name, alternative_names(subject.names))) ||
      X509_sign(it, authority_key, EVP_sha256()) == 0) {
    return failed(fmt::format("making the certificate of {}", subject.common_name));
  }
  return made;
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  using Names = std::unique_ptr<GENERAL_NAMES, FreedBy<GENERAL_NAMES_free>>;
  const Names held{static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
  for (int i = 0; held != nullptr && i < sk_GENERAL_NAME_num(held.get()); ++i) {
    int kind = 0;
    const auto* const value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(held.get(), i), &kind));
    const unsigned char* const bytes = ASN1_STRING_get0_data(value);
    const int size = ASN1_STRING_length(value);
    if (kind == GEN_DNS) {
      names.emplace_back(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    } else if (kind == GEN_IPADD && (size == 4 || size == 16)) {
      std::array<char, INET6_ADDRSTRLEN> text;
      names.emplace_back(
          ::inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, text.data(), text.size()));
    }
  }
  return names;
}

std::string fingerprint_of(X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  CHECK(X509_digest(certificate, EVP_sha256(), digest.data(), &size) == 1);
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{}{:02X}", i == 0 ? "" : ":", digest[i]);
  return text;
}

std::string moment_text(std::int64_t seconds) {
  const std::time_t moment = seconds;
  std::tm parts{};
  ::gmtime_r(&moment, &parts);
  std::array<char, 64> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text.data();
}

Status check_host_name(const std::string& name) {
  if (is_address(name)) return {};
  const auto refused = [&name] {
    return make_error(
        EINVAL, "\"{}\" is neither a host name (letters, digits, - and .) nor an IP address", name);
  };
  std::string_view left = name;
  if (left.starts_with("*.")) left.remove_prefix(2);
  if (left.empty() || name.size() > kHostNameBytesMax) return refused();
  while (true) {
    const std::string_view label = left.substr(0, left.find('.'));
    const bool fine = std::all_of(label.begin(), label.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '_';
    });
    if (label.empty() || label.size() > kLabelBytesMax || !fine || label.front() == '-' ||
        label.back() == '-') {
      return refused();
    }
    if (label.size() == left.size()) return {};
    left.remove_prefix(label.size() + 1);
  }
}

}  // namespace tools::tls
