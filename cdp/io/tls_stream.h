// SPDX-License-Identifier: Apache-2.0
//
// TlsStream: the server's end of TLS over another Stream, by OpenSSL. The engine never touches the
// socket: it is handed what was received and hands over what is to be sent, in buffers of bounded
// size, so that a TlsStream waits as the stream below does, and for nothing else.
//
// TlsAcceptor: makes them, one for each connection that is to be encrypted. A handshake's steps
// sign and verify, which takes about a millisecond, so they run on a worker thread, one at a time:
// a crowd of new clients holds up neither the reactor nor others' work for the workers by more
// than one step. From then on everything happens on the scheduler's thread.
//
// A peer that ends without TLS's own end (close_notify) is an error: it was cut off, or somebody
// cut it off. We send none: those above have ends of their own.
#pragma once

#include <openssl/types.h>

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/io/stream.h"
#include "cdp/io/task.h"

namespace cdp {

// What the connections of a server have in common. May be used by several threads.
using TlsContext = std::shared_ptr<SSL_CTX>;

// A context with our rules and no keys yet: TLS 1.3 only, so there is no renegotiation, and no
// tickets, so that nothing of a connection outlives it.
TlsContext new_tls_context();

// Client's name to secret: who proves that it has the secret is that client.
using PresharedKeys = std::map<std::string, std::vector<unsigned char>, std::less<>>;
inline constexpr std::size_t kPresharedKeyBytesMin = 16;
inline constexpr std::size_t kPresharedKeyBytesMax = 64;
void use_preshared_keys(SSL_CTX* context, PresharedKeys keys);

class TlsStream final : public Stream {
 public:
  ~TlsStream() override;

  Task<Result<std::size_t>> receive(std::span<const iovec> into) override;
  Task<Status> send(std::span<const iovec> from) override;
  void shutdown() override { below_.shutdown(); }
  // The peer below, and the name that it has proved: "tcp:127.0.0.1:40122,client=web1".
  const std::string& peer() const override { return peer_; }

  // The certificate's common name, or that of the key; "" where there is neither.
  const std::string& client() const { return client_; }

 private:
  friend class TlsAcceptor;
  struct Wire;  // the engine's view of the two buffers
  enum class Step { kDone, kMore, kFailed };

  TlsStream(Stream& below, const TlsContext& context);

  Step handshake_step();  // on a worker
  void learn_client();
  Task<Status> receive_ciphertext();
  Task<Status> send_ciphertext();
  Status encrypt(std::span<const std::byte> record);

  Stream& below_;
  const TlsContext context_;
  std::unique_ptr<SSL, void (*)(SSL*)> engine_;
  std::unique_ptr<std::byte[]> received_;  // [begin_, end_) is for the engine
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::vector<std::byte> encrypted_;  // by the engine
  std::vector<std::byte> sending_;    // by the stream below
  std::vector<std::byte> gathered_;   // of a record that is made of several pieces
  std::string peer_;
  std::string client_;
  std::string problem_;  // of the handshake
  bool ended_ = false;   // by the peer, in order
};

class TlsAcceptor {
 public:
  TlsAcceptor(Scheduler& scheduler, TlsContext context)
      : scheduler_(scheduler), context_(std::move(context)), stepped_(scheduler) {}

  // For the connections that come from here on.
  void renew(TlsContext context) { context_ = std::move(context); }

  // Returns when the handshake is done; `below` must outlive what comes out. How long that may
  // take is the caller's to say: shutting down `below` ends it.
  Task<Result<std::unique_ptr<TlsStream>>> accept(Stream& below);

 private:
  Scheduler& scheduler_;
  TlsContext context_;
  bool stepping_ = false;
  Signal stepped_;
};

}  // namespace cdp
