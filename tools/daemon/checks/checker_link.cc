// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/checks/checker_link.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <utility>

#include "tools/daemon/checks/checker_protocol.h"

namespace tools {

using cdp::errno_error;
using cdp::FileDescriptor;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

namespace {

constexpr char kPeer[] = "the checker";
constexpr std::size_t kReceiveBytes = 16u << 10;

cdp::Error nobody_listens(const std::string& path, int code) {
  return make_error(
      ESHUTDOWN,
      "points are not checked here, as nobody listens on {} ({}): `systemctl enable --now "
      "hindsight-check.socket` on the appliance has systemd start the checker for each check; "
      "without systemd, let something that accepts connections there run hindsight-check with each "
      "as its standard input, and name the socket with check.socket",
      path, std::generic_category().message(code));
}

}  // namespace

CheckerLink::CheckerLink(cdp::Reactor& reactor, int fd, std::unique_ptr<cdp::SocketStream> stream)
    : reactor_(reactor),
      fd_(fd),
      stream_(std::move(stream)),
      lines_({.line_bytes_max = kCheckerLineBytesMax,
              .bytes_max = kCheckerBytesMax,
              .lines_max = kCheckerLinesMax}) {}

Result<std::unique_ptr<CheckerLink>> CheckerLink::connect(cdp::Reactor& reactor,
                                                          const std::string& path) {
  if (path.empty())
    return make_error(ESHUTDOWN, "points are not checked here: check.socket names no socket");
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof name.sun_path) return nobody_listens(path, ENAMETOOLONG);
  std::memcpy(name.sun_path, path.data(), path.size());
  // A queue that is full is not waited for.
  FileDescriptor fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd.valid()) return errno_error(errno, "making a socket for a check");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
    return nobody_listens(path, errno);
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK) != 0)
    return errno_error(errno, "making a socket for a check");
  const int number = fd.get();
  auto stream = std::make_unique<cdp::SocketStream>(reactor, std::move(fd), kPeer);
  return std::unique_ptr<CheckerLink>{new CheckerLink{reactor, number, std::move(stream)}};
}

Task<Result<std::string>> CheckerLink::receive() {
  for (;;) {
    Result<std::optional<std::string>> line = lines_.next();
    if (!line) co_return std::move(line).error();
    if (*line) co_return **std::move(line);
    char bytes[kReceiveBytes];
    const iovec into{bytes, sizeof bytes};
    Result<std::size_t> received = co_await stream_->receive({&into, 1});
    if (!received || *received == 0)
      co_return make_error(EPIPE, "the checker ended before it had a result");
    if (Status fed = lines_.feed({bytes, *received}); !fed) co_return std::move(fed).error();
  }
}

Task<Status> CheckerLink::send(std::string line) {
  co_return co_await send_with(std::move(line), std::nullopt);
}

Task<Result<std::unique_ptr<cdp::Stream>>> CheckerLink::send_socket(std::string line) {
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    co_return errno_error(errno, "making a socket for a check");
  const FileDescriptor theirs{ends[1]};
  auto ours = std::make_unique<cdp::SocketStream>(reactor_, FileDescriptor{ends[0]}, kPeer);
  Status sent = co_await send_with(std::move(line), theirs.get());
  if (!sent) co_return std::move(sent).error();
  co_return std::unique_ptr<cdp::Stream>{std::move(ours)};
}

// A descriptor goes with the first byte.
Task<Status> CheckerLink::send_with(std::string line, std::optional<int> passed) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec from{line.data(), line.size()};
  while (from.iov_len > 0) {
    msghdr message{};
    message.msg_iov = &from;
    message.msg_iovlen = 1;
    if (passed) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* const head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(head), &*passed, sizeof(int));
    }
    const int sent = co_await reactor_.submit([this, &message](io_uring_sqe* entry) {
      io_uring_prep_sendmsg(entry, fd_, &message, MSG_NOSIGNAL);
    });
    if (sent == -EINTR || sent == -EAGAIN) continue;
    if (sent < 0) co_return make_error(EPIPE, "the checker ended before it had a result");
    passed.reset();
    from.iov_base = static_cast<char*>(from.iov_base) + sent;
    from.iov_len -= static_cast<std::size_t>(sent);
  }
  co_return Status{};
}

}  // namespace tools
