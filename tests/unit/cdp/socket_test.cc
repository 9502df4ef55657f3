// SPDX-License-Identifier: Apache-2.0
// Addresses, listeners and streams, on the real kernel.
#include "cdp/io/socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace cdp {
namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hindsight-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

SocketAddress address(std::string_view text) { return value_or_throw(parse_socket_address(text)); }

TEST(SocketAddress, IsParsedAndWrittenTheSameWay) {
  for (const char* text : {"unix:/run/x.sock", "unix:relative", "tcp:127.0.0.1:10809",
                           "tcp:[::1]:0", "tcp:localhost:65535"}) {
    EXPECT_EQ(address(text).text(), text);
  }
  EXPECT_EQ(address("tcp:[::1]:10809").host, "::1");
  EXPECT_EQ(address("tcp:host:10809").port, 10809);
}

TEST(SocketAddress, WhatIsNotOneIsRefused) {
  for (const char* text :
       {"", "unix:", "tcp:", "tcp:host", "tcp:host:", "tcp::10809", "tcp:host:65536", "tcp:host:-1",
        "tcp:host:10809x", "tcp:::1:10809", "tcp:[]:1", "/run/x.sock", "udp:a:1"}) {
    EXPECT_FALSE(parse_socket_address(text).ok()) << text;
  }
}

TEST(SocketAddress, LoopbackIsWhatOnlyThisMachineReaches) {
  EXPECT_TRUE(is_loopback(address("unix:/run/x.sock")));
  EXPECT_TRUE(is_loopback(address("tcp:127.0.0.1:1")));
  EXPECT_TRUE(is_loopback(address("tcp:127.8.8.8:1")));
  EXPECT_TRUE(is_loopback(address("tcp:[::1]:1")));
  EXPECT_TRUE(is_loopback(address("tcp:[::ffff:127.0.0.1]:1")));
  EXPECT_FALSE(is_loopback(address("tcp:0.0.0.0:1")));
  EXPECT_FALSE(is_loopback(address("tcp:[::]:1")));
  EXPECT_FALSE(is_loopback(address("tcp:192.0.2.1:1")));
  EXPECT_FALSE(is_loopback(address("tcp:name.invalid:1")));
}

TEST(SocketAddress, APathThatNoSocketCanHaveIsRefused) {
  EXPECT_TRUE(parse_socket_address("unix:/" + std::string(106, 'x')).ok());
  EXPECT_EQ(parse_socket_address("unix:/" + std::string(107, 'x')).error().code, ENAMETOOLONG);
}

TEST(SocketListener, MakesAFileForItsGroupAndRemovesItWhenClosed) {
  TemporaryDirectory directory;
  Reactor reactor{Reactor::Options{}};
  const std::string path = directory.file("s");
  {
    const auto listener = value_or_throw(SocketListener::open(reactor, address("unix:" + path)));
    struct stat status {};
    ASSERT_EQ(lstat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode, static_cast<mode_t>(S_IFSOCK | 0660));
    EXPECT_EQ(SocketListener::open(reactor, address("unix:" + path)).error().code, EADDRINUSE);
    EXPECT_EQ(lstat(path.c_str(), &status), 0) << "the file of a living listener was removed";
    listener->close();
    EXPECT_NE(lstat(path.c_str(), &status), 0);
  }
}

TEST(SocketListener, ReplacesAStaleSocketAndNothingElse) {
  TemporaryDirectory directory;
  Reactor reactor{Reactor::Options{}};
  const std::string stale = directory.file("stale");
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, stale.c_str(), sizeof name.sun_path - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  close(fd);
  EXPECT_TRUE(SocketListener::open(reactor, address("unix:" + stale)).ok());

  const std::string precious = directory.file("precious");
  std::ofstream{precious} << "data";
  EXPECT_EQ(SocketListener::open(reactor, address("unix:" + precious)).error().code, EEXIST);
  EXPECT_EQ(std::filesystem::file_size(precious), 4u);
  EXPECT_FALSE(SocketListener::open(reactor, address("unix:" + directory.file("no/s"))).ok());
  EXPECT_FALSE(SocketListener::open(reactor, address("tcp:name.invalid:1")).ok());
}

Task<void> echo_until_end(Listener& listener, std::string& peer, std::size_t& echoed) {
  Result<std::unique_ptr<Stream>> stream = co_await listener.accept();
  CHECK(stream.ok());
  peer = (*stream)->peer();
  std::vector<std::byte> buffer(100'000);
  for (;;) {
    // Two vectors, so that a receive fills both and a send gathers both.
    const iovec room[] = {{buffer.data(), 1000}, {buffer.data() + 1000, buffer.size() - 1000}};
    Result<std::size_t> got = co_await (*stream)->receive(room);
    if (!got.ok() || *got == 0) break;
    const std::size_t first = std::min<std::size_t>(*got, 1000);
    const iovec back[] = {{buffer.data(), first}, {buffer.data() + 1000, *got - first}};
    Status sent = co_await (*stream)->send(back);
    if (!sent.ok()) break;
    echoed += *got;
  }
}

// A blocking client on a thread of its own: sends `bytes`, reads them back, and closes.
void exchange(int fd, std::size_t bytes, bool& same) {
  std::vector<unsigned char> data(bytes);
  for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<unsigned char>(i * 7 + i / 251);
  std::thread sender{[&] {
    for (std::size_t at = 0; at < bytes;) {
      const ssize_t sent = send(fd, data.data() + at, bytes - at, MSG_NOSIGNAL);
      if (sent <= 0) break;
      at += static_cast<std::size_t>(sent);
    }
  }};
  std::vector<unsigned char> back(bytes);
  same = recv(fd, back.data(), bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes) && back == data;
  sender.join();
  close(fd);
}

void echo_over(const SocketAddress& where, std::string_view peer_prefix) {
  constexpr std::size_t kBytes = 5'000'000;
  Reactor reactor{Reactor::Options{}};
  const auto listener = value_or_throw(SocketListener::open(reactor, where));
  const SocketAddress bound = listener->address();
  bool same = false;
  std::thread client{[&] {
    int fd = -1;
    if (bound.kind == SocketAddress::Kind::kUnix) {
      fd = socket(AF_UNIX, SOCK_STREAM, 0);
      sockaddr_un name{};
      name.sun_family = AF_UNIX;
      std::strncpy(name.sun_path, bound.path.c_str(), sizeof name.sun_path - 1);
      ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    } else {
      fd = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in name{};
      name.sin_family = AF_INET;
      name.sin_port = htons(bound.port);
      name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    }
    exchange(fd, kBytes, same);
  }};
  std::string peer;
  std::size_t echoed = 0;
  reactor.run(echo_until_end(*listener, peer, echoed));
  client.join();
  EXPECT_TRUE(same);
  EXPECT_EQ(echoed, kBytes);
  EXPECT_TRUE(peer.starts_with(peer_prefix)) << peer;
}

TEST(SocketStream, CarriesBytesBothWaysOverUnixSockets) {
  TemporaryDirectory directory;
  echo_over(address("unix:" + directory.file("s")),
            fmt::format("unix:uid={},pid={}", getuid(), getpid()));
}

TEST(SocketStream, CarriesBytesBothWaysOverTcp) {
  echo_over(address("tcp:127.0.0.1:0"), "tcp:127.0.0.1:");
}

Task<void> close_soon(Reactor& reactor, Listener& listener) {
  co_await sleep_for(reactor, milliseconds(1));
  listener.close();
}

Task<void> accept_until_closed(Reactor& reactor, Listener& listener, int& code) {
  reactor.spawn(close_soon(reactor, listener));
  Result<std::unique_ptr<Stream>> stream = co_await listener.accept();
  code = stream.ok() ? 0 : stream.error().code;
}

TEST(SocketListener, ClosingWakesAPendingAccept) {
  TemporaryDirectory directory;
  for (const std::string& where : {"unix:" + directory.file("s"), std::string{"tcp:127.0.0.1:0"}}) {
    Reactor reactor{Reactor::Options{}};
    const auto listener = value_or_throw(SocketListener::open(reactor, address(where)));
    int code = 0;
    reactor.run(accept_until_closed(reactor, *listener, code));
    EXPECT_EQ(code, ECANCELED) << where;
  }
}

Task<void> shut_down_soon(Reactor& reactor, Stream& stream) {
  co_await sleep_for(reactor, milliseconds(1));
  stream.shutdown();
}

Task<void> receive_until_shut_down(Reactor& reactor, Stream& stream, bool& woken) {
  reactor.spawn(shut_down_soon(reactor, stream));
  std::byte byte;
  const iovec room{&byte, 1};
  Result<std::size_t> got = co_await stream.receive({&room, 1});
  woken = !got.ok() || *got == 0;
}

TEST(SocketStream, ShutdownWakesAPendingReceive) {
  Reactor reactor{Reactor::Options{}};
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  SocketStream stream{reactor, FileDescriptor{ends[0]}, "test"};
  bool woken = false;
  reactor.run(receive_until_shut_down(reactor, stream, woken));
  EXPECT_TRUE(woken);
  close(ends[1]);
}

}  // namespace
}  // namespace cdp
