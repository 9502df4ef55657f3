// SPDX-License-Identifier: Apache-2.0
#include "cdp/io/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace cdp {
namespace {

constexpr std::size_t kRecordBytes = 16 << 10;  // of plaintext, at most
// What one receive asks the stream below for.
constexpr std::size_t kReceivedBytes = 128 << 10;
// What is encrypted before it is sent; a record more at most.
constexpr std::size_t kEncryptedBytes = 256 << 10;
// What the engine may want to say unasked, such as answers to changes of the peer's key.
constexpr std::size_t kUnsentBytesMax = kEncryptedBytes + 4 * kRecordBytes;

// OpenSSL's own words for what went wrong last.
std::string reason() {
  const char* const words = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return words != nullptr ? words : "no reason given";
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// The keys of a context; freed with it.
int key_slot() {
  static const int slot = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* keys, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<PresharedKeys*>(keys);
      });
  return slot;
}

// Of an unknown name there is no session, and what follows is the handshake with certificates. The
// name goes with the session, so that it is that of the key which was proved.
int find_key(SSL* engine, const unsigned char* name, std::size_t bytes, SSL_SESSION** session) {
  *session = nullptr;
  const auto* const keys =
      static_cast<const PresharedKeys*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(engine), key_slot()));
  const auto found = keys->find(std::string_view{reinterpret_cast<const char*>(name), bytes});
  if (found == keys->end()) return 1;
  constexpr unsigned char kAes128GcmSha256[] = {0x13, 0x01};
  const SSL_CIPHER* const cipher = SSL_CIPHER_find(engine, kAes128GcmSha256);
  std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> made{SSL_SESSION_new(),
                                                                 SSL_SESSION_free};
  if (made == nullptr || cipher == nullptr ||
      SSL_SESSION_set1_master_key(made.get(), found->second.data(), found->second.size()) != 1 ||
      SSL_SESSION_set_cipher(made.get(), cipher) != 1 ||
      SSL_SESSION_set_protocol_version(made.get(), TLS1_3_VERSION) != 1 ||
      SSL_SESSION_set1_ticket_appdata(made.get(), found->first.data(), found->first.size()) != 1) {
    return 0;
  }
  *session = made.release();
  return 1;
}

// The one common name of a certificate; "" where it has none, several, or one that is no text.
std::string common_name(X509* certificate) {
  X509_NAME* const subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return {};
  unsigned char* text = nullptr;
  const int bytes =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (bytes < 0) return {};
  std::string name(reinterpret_cast<const char*>(text), static_cast<std::size_t>(bytes));
  OPENSSL_free(text);
  const bool is_text = std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
  });
  return is_text ? name : std::string{};
}

}  // namespace

TlsContext new_tls_context() {
  TlsContext context{SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
  CHECK(context != nullptr);
  CHECK(SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  // Most connections are idle most of the time.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  // Ours: AES-128 is as safe here as AES-256, which clients put first, and faster.
  SSL_CTX_set_options(context.get(), SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  CHECK(SSL_CTX_set_ciphersuites(context.get(),
                                 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                 "TLS_CHACHA20_POLY1305_SHA256") == 1);
  return context;
}

void use_preshared_keys(SSL_CTX* context, PresharedKeys keys) {
  for (const auto& [name, key] : keys) {
    CHECK(key.size() >= kPresharedKeyBytesMin && key.size() <= kPresharedKeyBytesMax);
  }
  CHECK(SSL_CTX_set_ex_data(context, key_slot(), new PresharedKeys{std::move(keys)}) == 1);
  SSL_CTX_set_psk_find_session_callback(context, find_key);
  // Such a key is bound to SHA-256.
  CHECK(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256") ==
        1);
  // Without it a server that asks for certificates takes no key.
  constexpr std::string_view kName = "hindsight";
  CHECK(SSL_CTX_set_session_id_context(context, bytes_of(kName), kName.size()) == 1);
}

// --- The engine's ends.

struct TlsStream::Wire {
  static int read(BIO* bio, char* into, std::size_t bytes, std::size_t* got) {
    auto& stream = *static_cast<TlsStream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *got = std::min(bytes, stream.end_ - stream.begin_);
    if (*got == 0) {
      BIO_set_retry_read(bio);
      return 0;
    }
    std::memcpy(into, stream.received_.get() + stream.begin_, *got);
    stream.begin_ += *got;
    return 1;
  }
  static int write(BIO* bio, const char* from, std::size_t bytes, std::size_t* taken) {
    std::vector<std::byte>& to = static_cast<TlsStream*>(BIO_get_data(bio))->encrypted_;
    BIO_clear_retry_flags(bio);
    if (to.size() + bytes > kUnsentBytesMax) return 0;
    const auto* const start = reinterpret_cast<const std::byte*>(from);
    to.insert(to.end(), start, start + bytes);
    *taken = bytes;
    return 1;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO* open(TlsStream& stream) {
    static BIO_METHOD* const method = [] {
      BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
      CHECK(made != nullptr && BIO_meth_set_read_ex(made, read) == 1 &&
            BIO_meth_set_write_ex(made, write) == 1 && BIO_meth_set_ctrl(made, control) == 1);
      return made;
    }();
    BIO* const bio = BIO_new(method);
    CHECK(bio != nullptr);
    BIO_set_data(bio, &stream);
    BIO_set_init(bio, 1);
    return bio;
  }
};

TlsStream::TlsStream(Stream& below, const TlsContext& context)
    : below_(below),
      context_(context),
      engine_(SSL_new(context.get()), SSL_free),
      received_(std::make_unique_for_overwrite<std::byte[]>(kReceivedBytes)),
      peer_(below.peer()) {
  CHECK(engine_ != nullptr);
  BIO* const wire = Wire::open(*this);
  SSL_set_bio(engine_.get(), wire, wire);  // which owns it
  SSL_set_accept_state(engine_.get());
}

TlsStream::~TlsStream() = default;

// --- The handshake.

TlsStream::Step TlsStream::handshake_step() {
  ERR_clear_error();
  const int done = SSL_do_handshake(engine_.get());
  if (done == 1) return Step::kDone;
  if (SSL_get_error(engine_.get(), done) == SSL_ERROR_WANT_READ) return Step::kMore;
  const long verdict = SSL_get_verify_result(engine_.get());
  problem_ = reason();
  if (verdict != X509_V_OK) {
    problem_ = fmt::format("its certificate: {}", X509_verify_cert_error_string(verdict));
  }
  return Step::kFailed;
}

void TlsStream::learn_client() {
  if (SSL_session_reused(engine_.get()) == 1) {
    void* name = nullptr;
    std::size_t bytes = 0;
    CHECK(SSL_SESSION_get0_ticket_appdata(SSL_get0_session(engine_.get()), &name, &bytes) == 1);
    client_.assign(static_cast<const char*>(name), bytes);
  } else if (X509* const certificate = SSL_get0_peer_certificate(engine_.get())) {
    client_ = common_name(certificate);
  }
  if (!client_.empty()) peer_ += ",client=" + client_;
}

Task<Result<std::unique_ptr<TlsStream>>> TlsAcceptor::accept(Stream& below) {
  std::unique_ptr<TlsStream> stream{new TlsStream{below, context_}};
  for (;;) {
    while (stepping_) co_await stepped_.wait();
    stepping_ = true;
    TlsStream::Step step{};
    co_await on_worker(scheduler_, [&stream, &step] { step = stream->handshake_step(); });
    stepping_ = false;
    stepped_.notify_one();
    // What it says goes out in any case: a refused client is told why.
    Status moved = co_await stream->send_ciphertext();
    if (step == TlsStream::Step::kFailed) {
      co_return make_error(EPROTO, "TLS with the client failed: {}", stream->problem_);
    }
    if (moved.ok() && step == TlsStream::Step::kMore) moved = co_await stream->receive_ciphertext();
    if (!moved.ok()) co_return std::move(moved).error();
    if (step == TlsStream::Step::kDone) break;
  }
  stream->learn_client();
  co_return stream;
}

// --- Both directions.

Task<Status> TlsStream::receive_ciphertext() {
  std::memmove(received_.get(), received_.get() + begin_, end_ - begin_);  // nothing, mostly
  end_ -= std::exchange(begin_, 0);
  if (end_ == kReceivedBytes) co_return make_error(EPROTO, "TLS with {} stands still", peer_);
  const iovec room{received_.get() + end_, kReceivedBytes - end_};
  Result<std::size_t> got = co_await below_.receive({&room, 1});
  if (!got.ok()) co_return std::move(got).error();
  if (*got == 0) co_return make_error(ECONNRESET, "{} went away without ending TLS", peer_);
  end_ += *got;
  co_return Status{};
}

Task<Status> TlsStream::send_ciphertext() {
  if (encrypted_.empty()) co_return Status{};
  // What is received meanwhile may have the engine say something.
  std::swap(encrypted_, sending_);
  encrypted_.clear();
  const iovec all{sending_.data(), sending_.size()};
  co_return co_await below_.send({&all, 1});
}

Task<Result<std::size_t>> TlsStream::receive(std::span<const iovec> into) {
  for (;;) {
    std::size_t filled = 0;
    int error = SSL_ERROR_NONE;
    ERR_clear_error();
    for (const iovec& part : into) {
      for (std::size_t at = 0; at < part.iov_len && error == SSL_ERROR_NONE && !ended_;) {
        std::size_t got = 0;
        const int done = SSL_read_ex(engine_.get(), static_cast<std::byte*>(part.iov_base) + at,
                                     part.iov_len - at, &got);
        at += got;
        filled += got;
        if (done != 1) error = SSL_get_error(engine_.get(), done);
        ended_ |= error == SSL_ERROR_ZERO_RETURN;
      }
    }
    if (filled > 0 || ended_) co_return filled;
    if (error != SSL_ERROR_WANT_READ) {
      co_return make_error(EPROTO, "TLS with {} failed: {}", peer_, reason());
    }
    Status more = co_await receive_ciphertext();
    if (!more.ok()) co_return std::move(more).error();
  }
}

Status TlsStream::encrypt(std::span<const std::byte> record) {
  ERR_clear_error();
  std::size_t taken = 0;
  if (SSL_write_ex(engine_.get(), record.data(), record.size(), &taken) == 1) return {};
  return make_error(EPROTO, "TLS with {} failed: {}", peer_, reason());
}

Task<Status> TlsStream::send(std::span<const iovec> from) {
  gathered_.clear();
  for (std::size_t part = 0, at = 0; part < from.size();) {
    const auto* const start = static_cast<const std::byte*>(from[part].iov_base) + at;
    const std::size_t bytes = std::min(from[part].iov_len - at, kRecordBytes - gathered_.size());
    std::span<const std::byte> record{start, bytes};
    at += bytes;
    if (at == from[part].iov_len) {
      ++part;
      at = 0;
    }
    // A whole record in one piece, or all that is left, needs no copy.
    const bool is_last = part == from.size();
    if (bytes < kRecordBytes && !(is_last && gathered_.empty())) {
      gathered_.insert(gathered_.end(), record.begin(), record.end());
      if (gathered_.size() < kRecordBytes && !is_last) continue;
      record = gathered_;
    }
    if (record.empty()) continue;
    Status done = encrypt(record);
    gathered_.clear();
    if (done.ok() && encrypted_.size() >= kEncryptedBytes) done = co_await send_ciphertext();
    if (!done.ok()) co_return done;
  }
  co_return co_await send_ciphertext();
}

}  // namespace cdp
