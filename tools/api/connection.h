// SPDX-License-Identifier: Apache-2.0
//
// Connection: a byte stream to a daemon, over a unix socket, TCP on this machine, or TLS 1.3, with
// the other side's certificate and name verified. Blocking. Connecting and the handshake have ten
// seconds; reading has no limit, since a verification or a rollback may take hours, but a peer that
// is gone is noticed by TCP's own probes.
//
// It is what Beast calls a SyncReadStream and a SyncWriteStream.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/system/system_error.hpp>
#include <memory>
#include <string>

#include "cdp/base/result.h"
#include "tools/api/server_address.h"

namespace tools::api {

class Connection {
 public:
  using error_code = boost::system::error_code;

  // `ca_pem` holds the certificates that are trusted; where it is empty, those of the system are.
  // An error is a sentence that says what to do.
  static cdp::Result<std::unique_ptr<Connection>> open(const ServerAddress& address,
                                                       const std::string& ca_pem);
  virtual ~Connection() = default;

  template <typename Buffers>
  std::size_t read_some(const Buffers& buffers, error_code& failed) {
    return read_bytes(first_of<boost::asio::mutable_buffer>(buffers), failed);
  }
  template <typename Buffers>
  std::size_t write_some(const Buffers& buffers, error_code& failed) {
    return write_bytes(first_of<boost::asio::const_buffer>(buffers), failed);
  }
  template <typename Buffers>
  std::size_t read_some(const Buffers& buffers) {
    return or_throw([&](error_code& failed) { return read_some(buffers, failed); });
  }
  template <typename Buffers>
  std::size_t write_some(const Buffers& buffers) {
    return or_throw([&](error_code& failed) { return write_some(buffers, failed); });
  }

 protected:
  virtual std::size_t read_bytes(boost::asio::mutable_buffer bytes, error_code& failed) = 0;
  virtual std::size_t write_bytes(boost::asio::const_buffer bytes, error_code& failed) = 0;

 private:
  // The first buffer that is not empty.
  template <typename Buffer, typename Buffers>
  static Buffer first_of(const Buffers& buffers) {
    const auto end = boost::asio::buffer_sequence_end(buffers);
    for (auto at = boost::asio::buffer_sequence_begin(buffers); at != end; ++at) {
      if (const Buffer buffer{*at}; buffer.size() > 0) return buffer;
    }
    return {};
  }
  template <typename Do>
  static std::size_t or_throw(Do what) {
    error_code failed;
    const std::size_t done = what(failed);
    if (failed) throw boost::system::system_error{failed};
    return done;
  }
};

// "it closed the connection", or what the error says.
std::string reason_of(const boost::system::error_code& failed);

}  // namespace tools::api
