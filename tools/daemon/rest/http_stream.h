// SPDX-License-Identifier: Apache-2.0
//
// HttpStream: the bytes of one connection, encrypted or not. Everything is for the thread of its
// socket's executor; one operation at a time, and `close` at any time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "tools/daemon/rest/http_message.h"
#include "tools/daemon/tls/tls_context.h"

namespace tools {

class HttpStream {
 public:
  using Protocol = boost::asio::generic::stream_protocol;  // unix or TCP
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;
  using Error = boost::system::error_code;
  struct Received {
    Error error{};
    std::size_t bytes = 0;
  };

  // In clear where `tls` is null.
  static std::unique_ptr<HttpStream> make(Protocol::socket socket, TlsContext tls);
  virtual ~HttpStream() = default;
  HttpStream(const HttpStream&) = delete;
  HttpStream& operator=(const HttpStream&) = delete;

  // Everything that begins from now on fails when this time is over, and the connection with it.
  void expires_after(std::chrono::seconds time) { transport_.expires_after(time); }
  // What is under way fails, and all that comes after.
  void close() { transport_.close(); }

  // Comes first. A peer that speaks plain HTTP where TLS is expected is told so.
  virtual Awaitable<Error> open() = 0;
  virtual Awaitable<Received> read(boost::asio::mutable_buffer into) = 0;
  virtual Awaitable<Error> write(std::string_view text) = 0;
  // Says that nothing more comes and waits until the peer has seen it: what is closed with bytes
  // unread is reset, and the last answer may be lost.
  virtual Awaitable<void> finish() = 0;

  const HttpPeer& peer() const { return peer_; }

 protected:
  using Transport = boost::beast::basic_stream<Protocol, boost::asio::any_io_executor>;

  HttpStream(Protocol::socket socket, bool is_encrypted);
  Awaitable<void> drain();

  Transport transport_;

 private:
  HttpPeer peer_;
};

}  // namespace tools
