// SPDX-License-Identifier: Apache-2.0
#include "tools/check/daemon_line.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace check {

namespace json = boost::json;
using cdp::FileDescriptor;
using cdp::make_error;
using cdp::Result;

namespace {

constexpr int kVersion = 1;
constexpr std::size_t kLineBytesMax = 64u << 10;

}  // namespace

std::uint64_t DaemonLine::receive_request() {
  FileDescriptor none;
  const json::object request = receive(none);
  if (request.at("check").to_number<int>() != kVersion)
    throw std::runtime_error("the daemon is of another version");
  return request.at("bytes").to_number<std::uint64_t>();
}

Result<FileDescriptor> DaemonLine::open(std::uint64_t offset, std::uint64_t bytes) {
  send({{"open", {{"offset", offset}, {"bytes", bytes}}}});
  FileDescriptor opened;
  const json::object answer = receive(opened);
  if (const json::value* const refused = answer.if_contains("refused"))
    return make_error(EINVAL, "{}", std::string_view{refused->as_string()});
  if (!opened.valid()) throw std::runtime_error("the daemon sent no socket");
  return opened;
}

void DaemonLine::say_doing(const std::string& what) { send({{"doing", what}}); }
void DaemonLine::say_result(json::object result) { send({{"result", std::move(result)}}); }
void DaemonLine::say_failed(const std::string& why) { send({{"failed", why}}); }

void DaemonLine::send(const json::object& message) {
  const std::string line = json::serialize(message) + "\n";
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t taken = ::send(socket_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0) throw std::runtime_error("the daemon has gone");
    sent += static_cast<std::size_t>(taken);
  }
}

// Byte by byte: what comes behind a line may have another descriptor.
json::object DaemonLine::receive(FileDescriptor& received) {
  std::string line;
  while (line.size() < kLineBytesMax) {
    char byte = 0;
    iovec into{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &into;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = recvmsg(socket_, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw std::runtime_error("the daemon has gone");
    const cmsghdr* const head = CMSG_FIRSTHDR(&message);
    if (head != nullptr && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
      received = FileDescriptor{fd};
    }
    if (byte == '\n') return json::parse(line).as_object();
    line += byte;
  }
  throw std::runtime_error("the daemon says too much");
}

}  // namespace check
