// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/tls/tls_context.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <string_view>

#include "cdp/base/check.h"
#include "cdp/io/file_disk.h"

namespace tools {
namespace {

constexpr std::size_t kPemBytesMax = 1u << 20;
constexpr std::string_view kProtocol = "http/1.1";  // of ALPN

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

cdp::Result<std::string> read_pem(const std::string& path, std::string_view what) {
  // A pipe would wait for its other end.
  const cdp::FileDescriptor fd{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!fd.valid()) return cdp::errno_error(errno, fmt::format("opening the {} {}", what, path));
  std::string text(kPemBytesMax + 1, '\0');
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const ssize_t got = read(fd.get(), text.data() + bytes, text.size() - bytes);
    if (got < 0) return cdp::errno_error(errno, fmt::format("reading the {} {}", what, path));
    if (got == 0) break;
    bytes += static_cast<std::size_t>(got);
  }
  if (bytes > kPemBytesMax) {
    return cdp::make_error(EINVAL, "{} is too long for a {} in PEM", path, what);
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
  const cdp::Result<std::string> text = read_pem(path, "certificate");
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
  const cdp::Result<std::string> text = read_pem(path, "key");
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
  TlsContext context{SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
  CHECK(context != nullptr);
  CHECK(SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  // Most connections are idle most of the time.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  cdp::Status used = use_certificates(context.get(), certificate_path);
  if (used) used = use_key(context.get(), key_path, certificate_path);
  if (!used) return std::move(used).error();
  return context;
}

}  // namespace tools
