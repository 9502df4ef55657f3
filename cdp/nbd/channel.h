// SPDX-License-Identifier: Apache-2.0
//
// How a connection is encrypted, and who is let in then. A listener's TlsTerms say whether its
// clients may, or must, begin TLS (NBD_OPT_STARTTLS); Security does the handshake, and makes the
// list of exports that a client sees who has proved its name.
//
// Channel: the stream of a connection, in clear at first and by TLS once it is secured. What was
// received in clear and not looked at must never be taken for something that came encrypted: who
// secures the channel has thrown it away, or ended the connection.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>

#include "cdp/base/result.h"
#include "cdp/block_device.h"
#include "cdp/io/stream.h"
#include "cdp/io/task.h"

namespace cdp::nbd {

class Security {
 public:
  virtual ~Security() = default;

  struct Secured {
    std::unique_ptr<Stream> stream;
    std::unique_ptr<ExportList> exports;  // what this client may have, and nothing else
  };
  // The server's end of the handshake, after which it is known who the client is; the stream's
  // peer() says it. `below` outlives what comes out, and so does this. An error ends the
  // connection.
  virtual Task<Result<Secured>> secure(Stream& below) = 0;
};

enum class TlsMode {
  kOff,       // NBD_OPT_STARTTLS is unsupported
  kOffered,   // the client's choice
  kRequired,  // before it, the client learns nothing and gets nothing
};

struct TlsTerms {
  TlsMode mode = TlsMode::kOff;
  Security* security = nullptr;  // unless it is off; outlives the connections
};

class Channel final : public Stream {
 public:
  explicit Channel(std::unique_ptr<Stream> plain)
      : plain_(std::move(plain)), current_(plain_.get()) {}

  Task<Result<std::size_t>> receive(std::span<const iovec> into) override {
    return current_->receive(into);
  }
  Task<Status> send(std::span<const iovec> from) override { return current_->send(from); }
  void shutdown() override { plain_->shutdown(); }
  const std::string& peer() const override { return current_->peer(); }

  // Nobody may be receiving or sending. Its handshake goes over plain().
  void secure(std::unique_ptr<Stream> stream);
  bool is_secure() const { return secure_ != nullptr; }
  Stream& plain() { return *plain_; }

 private:
  const std::unique_ptr<Stream> plain_;
  std::unique_ptr<Stream> secure_;  // over it
  Stream* current_;
};

}  // namespace cdp::nbd
