// SPDX-License-Identifier: Apache-2.0
//
// Sockets of a reactor: the production Listener and Stream, over unix and TCP sockets.
//
// Addresses are written `unix:PATH` and `tcp:HOST:PORT` (an IPv6 host in brackets). Whoever may
// open the file of a unix socket may connect: it has mode 0660, and its directory's rights apply.
// Everything here is for the reactor's own thread.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/file_disk.h"
#include "cdp/io/reactor.h"
#include "cdp/io/stream.h"

namespace cdp {

struct SocketAddress {
  enum class Kind { kUnix, kTcp };
  Kind kind = Kind::kUnix;
  std::string path;  // of kUnix
  std::string host;  // of kTcp: a name or a literal, without brackets
  std::uint16_t port = 0;

  // As it is written.
  std::string text() const;
  bool operator==(const SocketAddress&) const = default;
};

Result<SocketAddress> parse_socket_address(std::string_view text);

// Whether only this machine can reach it: a unix socket, or a host all of whose addresses are
// loopback ones. May ask the resolver; for set-up only. A host that cannot be resolved is not.
bool is_loopback(const SocketAddress& address);

// A socket that listens, and the file of a unix one, which goes with it.
class ListeningSocket {
 public:
  // Binds and listens; for set-up only. A unix socket's file that nobody listens on any more is
  // replaced. Port 0 lets the system choose one.
  static Result<ListeningSocket> open(SocketAddress address);
  ListeningSocket(ListeningSocket&& other) noexcept;
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ~ListeningSocket() { remove_file(); }

  int fd() const { return fd_.get(); }
  // For who closes it himself.
  int release_fd() { return fd_.release(); }
  // Where it listens, with the port that was chosen.
  const SocketAddress& address() const { return address_; }
  // Unless somebody else has put another one there meanwhile.
  void remove_file();

 private:
  ListeningSocket(FileDescriptor fd, SocketAddress address);

  FileDescriptor fd_;
  SocketAddress address_;
  struct stat file_{};  // of a unix socket, until it is removed
};

// Who is at the other end of a connected socket, in words: a user and a process, or an address.
std::string peer_of(int fd);

class SocketStream final : public Stream {
 public:
  // Takes a connected socket, whose peer is `peer`.
  SocketStream(Reactor& reactor, FileDescriptor fd, std::string peer)
      : reactor_(reactor), fd_(std::move(fd)), peer_(std::move(peer)) {}

  Task<Result<std::size_t>> receive(std::span<const iovec> into) override;
  Task<Status> send(std::span<const iovec> from) override;
  void shutdown() override;
  const std::string& peer() const override { return peer_; }

 private:
  Reactor& reactor_;
  FileDescriptor fd_;
  std::string peer_;
  std::vector<iovec> unsent_;  // of a send that the socket took in parts
};

class SocketListener final : public Listener {
 public:
  // See ListeningSocket.
  static Result<std::unique_ptr<SocketListener>> open(Reactor& reactor, SocketAddress address);

  Task<Result<std::unique_ptr<Stream>>> accept() override;
  void close() override;
  const SocketAddress& address() const { return socket_.address(); }

 private:
  SocketListener(Reactor& reactor, ListeningSocket socket)
      : reactor_(reactor), socket_(std::move(socket)) {}

  Reactor& reactor_;
  ListeningSocket socket_;
  bool closed_ = false;
};

}  // namespace cdp
