// SPDX-License-Identifier: Apache-2.0
#include "cdp/io/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "cdp/base/check.h"

namespace cdp {
namespace {

// Of connections that nobody has accepted yet; the kernel has a limit of its own (somaxconn).
// Beyond it a client's attempts are dropped, and it tries again later and later: a crowd would be
// let in by chance.
constexpr int kBacklog = 4096;
constexpr std::size_t kUnixPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;  // behind it a NUL
// A unix socket's default buffers of 208 KiB cost half of the throughput of large reads.
constexpr int kUnixBufferBytes = 1 << 20;

struct AddressList {
  addrinfo* first = nullptr;
  AddressList() = default;
  AddressList(const AddressList&) = delete;
  AddressList& operator=(const AddressList&) = delete;
  ~AddressList() {
    if (first != nullptr) freeaddrinfo(first);
  }
};

// 0, or an error of getaddrinfo.
int resolve(const SocketAddress& address, AddressList& into) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  return getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints,
                     &into.first);
}

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  if (address->sa_family != AF_INET6) return false;
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return v6.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&v6);
}

void raise_unix_buffers(int fd) {
  for (const auto& [forced, plain] :
       {std::pair{SO_SNDBUFFORCE, SO_SNDBUF}, std::pair{SO_RCVBUFFORCE, SO_RCVBUF}}) {
    if (setsockopt(fd, SOL_SOCKET, forced, &kUnixBufferBytes, sizeof kUnixBufferBytes) != 0) {
      // Without the privilege, as far as the system's limit goes.
      (void)setsockopt(fd, SOL_SOCKET, plain, &kUnixBufferBytes, sizeof kUnixBufferBytes);
    }
  }
}

std::string name_unix_peer(int fd) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return "unix";
  return fmt::format("unix:uid={},pid={}", credentials.uid, credentials.pid);
}

std::string text_of(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return fmt::format("tcp:{}:{}", text, ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return fmt::format("tcp:[{}]:{}", text, ntohs(v6.sin6_port));
}

std::string name_tcp_peer(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "tcp";
  return text_of(address);
}

Result<FileDescriptor> make_socket(int family) {
  FileDescriptor fd{socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!fd.valid()) return errno_error(errno, "making a socket");
  return fd;
}

// Whether somebody answers on the file of a unix socket.
bool somebody_listens(const sockaddr_un& name) {
  const FileDescriptor probe{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!probe.valid()) return true;
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) return true;
  return errno != ECONNREFUSED && errno != ENOENT;
}

Result<FileDescriptor> listen_on_file(const SocketAddress& address) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  CHECK(address.path.size() <= kUnixPathBytesMax);
  std::memcpy(name.sun_path, address.path.data(), address.path.size());
  struct stat existing {};
  if (lstat(address.path.c_str(), &existing) == 0) {
    if (!S_ISSOCK(existing.st_mode)) {
      return make_error(EEXIST, "{} exists and is not a socket: choose another path, or remove it",
                        address.path);
    }
    if (somebody_listens(name)) {
      return make_error(EADDRINUSE, "another process listens on {}", address.path);
    }
    (void)unlink(address.path.c_str());
  }
  Result<FileDescriptor> fd = make_socket(AF_UNIX);
  if (!fd.ok()) return fd;
  constexpr mode_t kMode = 0660;
  // Before bind, so that the file is never more open than that; after it, against the umask.
  (void)fchmod(fd->get(), kMode);
  if (bind(fd->get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      chmod(address.path.c_str(), kMode) != 0 || listen(fd->get(), kBacklog) != 0) {
    return errno_error(errno, fmt::format("listening on {}", address.path));
  }
  return fd;
}

Result<FileDescriptor> listen_on_port(SocketAddress& address) {
  AddressList addresses;
  if (const int error = resolve(address, addresses); error != 0) {
    return make_error(EADDRNOTAVAIL, "the host '{}' cannot be resolved: {}", address.host,
                      gai_strerror(error));
  }
  // Of a name with several addresses, IPv4 is what clients try that know no other.
  const addrinfo* chosen = addresses.first;
  while (chosen->ai_next != nullptr && chosen->ai_family != AF_INET) chosen = chosen->ai_next;
  if (chosen->ai_family != AF_INET) chosen = addresses.first;
  Result<FileDescriptor> fd = make_socket(chosen->ai_family);
  if (!fd.ok()) return fd;
  const int on = 1;
  (void)setsockopt(fd->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd->get(), chosen->ai_addr, chosen->ai_addrlen) != 0 ||
      listen(fd->get(), kBacklog) != 0) {
    return errno_error(errno, fmt::format("listening on {}", address.text()));
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  if (getsockname(fd->get(), reinterpret_cast<sockaddr*>(&bound), &length) == 0) {
    // The port is at the same place for both families.
    address.port = ntohs(reinterpret_cast<const sockaddr_in&>(bound).sin_port);
  }
  return fd;
}

}  // namespace

std::string SocketAddress::text() const {
  if (kind == Kind::kUnix) return "unix:" + path;
  if (host.find(':') != std::string::npos) return fmt::format("tcp:[{}]:{}", host, port);
  return fmt::format("tcp:{}:{}", host, port);
}

Result<SocketAddress> parse_socket_address(std::string_view text) {
  SocketAddress address;
  if (text.starts_with("unix:")) {
    address.path = text.substr(5);
    if (address.path.empty() || address.path.find('\0') != std::string::npos) {
      return make_error(EINVAL, "'{}' names no path: write unix:PATH", text);
    }
    if (address.path.size() > kUnixPathBytesMax) {
      return make_error(ENAMETOOLONG,
                        "the socket path {} is longer than {} bytes, which is the system's limit",
                        address.path, kUnixPathBytesMax);
    }
    return address;
  }
  if (!text.starts_with("tcp:")) {
    return make_error(EINVAL, "'{}' is not an address: write unix:PATH or tcp:HOST:PORT", text);
  }
  address.kind = SocketAddress::Kind::kTcp;
  std::string_view host = text.substr(4);
  const std::size_t colon = host.rfind(':');
  if (colon == std::string_view::npos) {
    return make_error(EINVAL, "'{}' names no port: write tcp:HOST:PORT", text);
  }
  const std::string_view port = host.substr(colon + 1);
  host = host.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return make_error(EINVAL, "'{}' is ambiguous: write an IPv6 address as tcp:[HOST]:PORT", text);
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (host.empty() || error != std::errc{} || end != port.data() + port.size() || port.empty()) {
    return make_error(EINVAL, "'{}' is not an address: write tcp:HOST:PORT", text);
  }
  address.host = host;
  return address;
}

bool is_loopback(const SocketAddress& address) {
  if (address.kind == SocketAddress::Kind::kUnix) return true;
  AddressList addresses;
  if (resolve(address, addresses) != 0) return false;
  for (const addrinfo* one = addresses.first; one != nullptr; one = one->ai_next) {
    if (!is_loopback(one->ai_addr)) return false;
  }
  return true;
}

std::string peer_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  const bool is_known = getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  return is_known && address.ss_family == AF_UNIX ? name_unix_peer(fd) : name_tcp_peer(fd);
}

// --- Streams.

Task<Result<std::size_t>> SocketStream::receive(std::span<const iovec> into) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(into.data());
  message.msg_iovlen = into.size();
  const auto prepare = [&](io_uring_sqe* entry) {
    io_uring_prep_recvmsg(entry, fd_.get(), &message, MSG_NOSIGNAL);
  };
  for (;;) {
    const int received = co_await reactor_.submit(prepare);
    if (received >= 0) co_return static_cast<std::size_t>(received);
    if (received != -EINTR && received != -EAGAIN) {
      co_return errno_error(-received, fmt::format("receiving from {}", peer_));
    }
  }
}

Task<Status> SocketStream::send(std::span<const iovec> from) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(from.data());
  message.msg_iovlen = from.size();
  std::size_t left = 0;
  for (const iovec& part : from) left += part.iov_len;
  const auto prepare = [&](io_uring_sqe* entry) {
    io_uring_prep_sendmsg(entry, fd_.get(), &message, MSG_NOSIGNAL | MSG_WAITALL);
  };
  while (left > 0) {
    const int result = co_await reactor_.submit(prepare);
    if (result < 0 && result != -EINTR && result != -EAGAIN) {
      co_return errno_error(-result, fmt::format("sending to {}", peer_));
    }
    auto sent = static_cast<std::size_t>(std::max(result, 0));
    left -= sent;
    if (left == 0 || sent == 0) continue;
    // The rest, in a copy: what the caller gave stays as it is.
    std::vector<iovec> rest(message.msg_iov, message.msg_iov + message.msg_iovlen);
    auto first = rest.begin();
    for (; sent >= first->iov_len; ++first) sent -= first->iov_len;
    first->iov_base = static_cast<std::byte*>(first->iov_base) + sent;
    first->iov_len -= sent;
    unsent_.assign(first, rest.end());
    message.msg_iov = unsent_.data();
    message.msg_iovlen = unsent_.size();
  }
  co_return Status{};
}

void SocketStream::shutdown() { (void)::shutdown(fd_.get(), SHUT_RDWR); }

// --- Listeners.

ListeningSocket::ListeningSocket(FileDescriptor fd, SocketAddress address)
    : fd_(std::move(fd)), address_(std::move(address)) {
  if (address_.kind == SocketAddress::Kind::kUnix) (void)lstat(address_.path.c_str(), &file_);
}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : fd_(std::move(other.fd_)),
      address_(std::move(other.address_)),
      file_(std::exchange(other.file_, {})) {}

Result<ListeningSocket> ListeningSocket::open(SocketAddress address) {
  Result<FileDescriptor> fd = address.kind == SocketAddress::Kind::kUnix ? listen_on_file(address)
                                                                         : listen_on_port(address);
  if (!fd.ok()) return std::move(fd).error();
  return ListeningSocket{std::move(*fd), std::move(address)};
}

void ListeningSocket::remove_file() {
  if (file_.st_ino == 0) return;
  struct stat now{};
  if (lstat(address_.path.c_str(), &now) == 0 && now.st_ino == file_.st_ino &&
      now.st_dev == file_.st_dev) {
    (void)unlink(address_.path.c_str());
  }
  file_ = {};
}

Result<std::unique_ptr<SocketListener>> SocketListener::open(Reactor& reactor,
                                                             SocketAddress address) {
  Result<ListeningSocket> socket = ListeningSocket::open(std::move(address));
  if (!socket.ok()) return std::move(socket).error();
  return std::unique_ptr<SocketListener>{new SocketListener{reactor, *std::move(socket)}};
}

Task<Result<std::unique_ptr<Stream>>> SocketListener::accept() {
  const auto prepare = [this](io_uring_sqe* entry) {
    io_uring_prep_accept(entry, socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
  };
  while (!closed_) {
    const int accepted = co_await reactor_.submit(prepare);
    if (accepted >= 0) {
      FileDescriptor fd{accepted};
      if (address().kind == SocketAddress::Kind::kUnix) {
        raise_unix_buffers(fd.get());
      } else {
        const int on = 1;
        (void)setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      }
      std::string peer = peer_of(fd.get());
      co_return std::make_unique<SocketStream>(reactor_, std::move(fd), std::move(peer));
    }
    // A connection that its client gave up again is no failure of the listener.
    if (accepted != -EINTR && accepted != -EAGAIN && accepted != -ECONNABORTED && !closed_) {
      co_return errno_error(-accepted, fmt::format("accepting on {}", address().text()));
    }
  }
  co_return make_error(ECANCELED, "the listener on {} is closed", address().text());
}

void SocketListener::close() {
  if (std::exchange(closed_, true)) return;
  socket_.remove_file();
  (void)::shutdown(socket_.fd(), SHUT_RDWR);
}

}  // namespace cdp
