// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/tls/tls_context.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "cdp/base/check.h"
#include "cdp/io/file_disk.h"

namespace tools {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 20;
constexpr std::string_view kProtocol = "http/1.1";  // of ALPN

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
void free_memory(void* memory) { OPENSSL_free(memory); }
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

cdp::Result<std::string> read_file(const std::string& path, std::string_view what) {
  // A pipe would wait for its other end.
  const cdp::FileDescriptor fd{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!fd.valid()) return cdp::errno_error(errno, fmt::format("opening the {} {}", what, path));
  std::string text(kFileBytesMax + 1, '\0');
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const ssize_t got = read(fd.get(), text.data() + bytes, text.size() - bytes);
    if (got < 0) return cdp::errno_error(errno, fmt::format("reading the {} {}", what, path));
    if (got == 0) break;
    bytes += static_cast<std::size_t>(got);
  }
  if (bytes > kFileBytesMax) {
    return cdp::make_error(EINVAL, "{} is too long for a {}", path, what);
  }
  text.resize(bytes);
  return text;
}

// OpenSSL's own words for what it refused last.
std::string reason() {
  const char* const words = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return words != nullptr ? words : "no reason given";
}

Bio in_memory(const std::string& text) {
  return Bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

// Nobody is asked: the daemon has no terminal.
int no_passphrase(char*, int, int, void* was_asked) {
  *static_cast<bool*>(was_asked) = true;
  return -1;
}

cdp::Status use_certificates(SSL_CTX* context, const std::string& path) {
  const cdp::Result<std::string> text = read_file(path, "certificate");
  if (!text) return text.error();
  const Bio source = in_memory(*text);
  Certificate certificate{PEM_read_bio_X509_AUX(source.get(), nullptr, nullptr, nullptr)};
  if (certificate == nullptr) {
    return cdp::make_error(EINVAL, "{} is no certificate in PEM: {}", path, reason());
  }
  if (SSL_CTX_use_certificate(context, certificate.get()) != 1) {
    return cdp::make_error(EINVAL, "the certificate {} is of no use: {}", path, reason());
  }
  while ((certificate = Certificate{PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr)})) {
    if (SSL_CTX_add1_chain_cert(context, certificate.get()) != 1) {
      return cdp::make_error(EINVAL, "a certificate in {} is of no use: {}", path, reason());
    }
  }
  const auto end = ERR_peek_last_error();
  if (ERR_GET_LIB(end) != ERR_LIB_PEM || ERR_GET_REASON(end) != PEM_R_NO_START_LINE) {
    return cdp::make_error(EINVAL, "{} has a certificate that is broken: {}", path, reason());
  }
  ERR_clear_error();
  return {};
}

cdp::Status use_key(SSL_CTX* context, const std::string& path, const std::string& certificate) {
  const cdp::Result<std::string> text = read_file(path, "key");
  if (!text) return text.error();
  bool was_asked = false;
  const Key key{
      PEM_read_bio_PrivateKey(in_memory(*text).get(), nullptr, no_passphrase, &was_asked)};
  if (key == nullptr && was_asked) {
    ERR_clear_error();
    return cdp::make_error(EINVAL, "the key {} wants a passphrase, and nobody is there to give it",
                           path);
  }
  if (key == nullptr) {
    return cdp::make_error(EINVAL, "{} is no private key in PEM: {}", path, reason());
  }
  if (X509_check_private_key(SSL_CTX_get0_certificate(context), key.get()) != 1) {
    ERR_clear_error();
    return cdp::make_error(EINVAL, "{} is not the key of the certificate {}", path, certificate);
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return cdp::make_error(EINVAL, "the key {} is of no use: {}", path, reason());
  }
  return {};
}

// A client's certificate must be one of these's, or lead to one, and be for clients.
cdp::Status trust_clients_of(SSL_CTX* context, const std::string& path) {
  const cdp::Result<std::string> text = read_file(path, "authority of clients");
  if (!text) return text.error();
  const Bio source = in_memory(*text);
  std::size_t count = 0;
  while (const Certificate one{PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr)}) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one.get()) != 1 ||
        SSL_CTX_add_client_CA(context, one.get()) != 1) {
      return cdp::make_error(EINVAL, "a certificate in {} is of no use: {}", path, reason());
    }
    ++count;
  }
  const auto end = ERR_peek_last_error();
  const bool is_end = ERR_GET_LIB(end) == ERR_LIB_PEM && ERR_GET_REASON(end) == PEM_R_NO_START_LINE;
  if (count == 0 || !is_end) {
    return cdp::make_error(EINVAL, "{} is no certificate in PEM: {}", path, reason());
  }
  ERR_clear_error();
  CHECK(SSL_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT) == 1);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return {};
}

// Empty where it is none.
std::vector<unsigned char> from_hexadecimal(std::string_view digits) {
  long bytes = 0;
  const std::string text(digits);
  if (text.find(':') != std::string::npos || text.find('\0') != std::string::npos) return {};
  const std::unique_ptr<unsigned char, Freed<free_memory>> buffer{
      OPENSSL_hexstr2buf(text.c_str(), &bytes)};
  ERR_clear_error();
  if (buffer == nullptr) return {};
  return {buffer.get(), buffer.get() + bytes};
}

// A client that names protocols must name ours; one that names none means it.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_bytes,
                    const unsigned char* offered, unsigned offered_bytes, void*) {
  for (unsigned at = 0; at < offered_bytes; at += 1u + offered[at]) {
    const std::string_view one{reinterpret_cast<const char*>(offered + at + 1), offered[at]};
    if (one != kProtocol) continue;
    *chosen = offered + at + 1;
    *chosen_bytes = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

cdp::Result<TlsContext> open_tls_context(const std::string& certificate_path,
                                         const std::string& key_path) {
  ERR_clear_error();
  TlsContext context = cdp::new_tls_context();
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  cdp::Status used = use_certificates(context.get(), certificate_path);
  if (used) used = use_key(context.get(), key_path, certificate_path);
  if (!used) return std::move(used).error();
  return context;
}

cdp::Result<TlsContext> open_nbd_tls_context(const NbdTlsFiles& files) {
  ERR_clear_error();
  TlsContext context = cdp::new_tls_context();
  if (!files.client_authority.empty()) {
    cdp::Status used = use_certificates(context.get(), files.certificate);
    if (used) used = use_key(context.get(), files.key, files.certificate);
    if (used) used = trust_clients_of(context.get(), files.client_authority);
    if (!used) return std::move(used).error();
  }
  if (!files.preshared_keys.empty()) {
    const cdp::Result<std::string> text = read_file(files.preshared_keys, "file of keys");
    if (!text) return text.error();
    cdp::Result<cdp::PresharedKeys> keys = parse_preshared_keys(*text, files.preshared_keys);
    if (!keys) return std::move(keys).error();
    cdp::use_preshared_keys(context.get(), *std::move(keys));
  }
  return context;
}

cdp::Result<cdp::PresharedKeys> parse_preshared_keys(std::string_view text,
                                                     const std::string& name) {
  cdp::PresharedKeys keys;
  for (unsigned number = 1; !text.empty(); ++number) {
    const std::string_view whole = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), whole.size() + 1));
    const std::string_view line = whole.ends_with('\r') ? whole.substr(0, whole.size() - 1) : whole;
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t colon = line.rfind(':');
    if (colon == std::string_view::npos || colon == 0) {
      return cdp::make_error(EINVAL, "{}:{}: it takes NAME:KEY, the key in hexadecimal digits",
                             name, number);
    }
    std::vector<unsigned char> key = from_hexadecimal(line.substr(colon + 1));
    if (key.size() < cdp::kPresharedKeyBytesMin || key.size() > cdp::kPresharedKeyBytesMax) {
      return cdp::make_error(EINVAL, "{}:{}: a key is {} to {} bytes in hexadecimal digits", name,
                             number, cdp::kPresharedKeyBytesMin, cdp::kPresharedKeyBytesMax);
    }
    if (!keys.emplace(line.substr(0, colon), std::move(key)).second) {
      return cdp::make_error(EINVAL, "{}:{}: {} has a key already", name, number,
                             line.substr(0, colon));
    }
  }
  if (keys.empty()) return cdp::make_error(EINVAL, "{} has no key in it", name);
  return keys;
}

}  // namespace tools
