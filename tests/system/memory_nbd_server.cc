// SPDX-License-Identifier: Apache-2.0
//
// The NBD server over devices in memory: `memory_nbd_server ADDRESS NAME=MIB...`, where a name that
// begins with `ro-` is a read-only device of zeroes. What clients see of it depends on nothing but
// the front-end, the reactor and the sockets. With `--tls` before the address, by TLS alone, for
// the client `bench` with the key of 32 times 'k' (6b). Ends on SIGTERM and SIGINT.
#include <fmt/format.h>
#include <sys/signalfd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/io/reactor.h"
#include "cdp/io/socket.h"
#include "cdp/io/tls_stream.h"
#include "cdp/nbd/server.h"
#include "tests/unit/cdp/memory_device.h"

namespace {

using namespace cdp;

TlsContext bench_context() {
  TlsContext context = new_tls_context();
  use_preshared_keys(context.get(), {{"bench", std::vector<unsigned char>(32, 'k')}});
  return context;
}

// Whoever has the key may have everything.
class OpenSecurity final : public nbd::Security {
 public:
  OpenSecurity(Reactor& reactor, const test::MemoryExports& exports)
      : acceptor_(reactor, bench_context()), exports_(exports) {}

  Task<Result<Secured>> secure(Stream& below) override {
    Result<std::unique_ptr<TlsStream>> stream = co_await acceptor_.accept(below);
    if (!stream.ok()) co_return std::move(stream).error();
    Secured secured;
    secured.stream = std::move(*stream);
    secured.exports = std::make_unique<test::MemoryExports>(exports_);
    co_return secured;
  }

 private:
  TlsAcceptor acceptor_;
  const test::MemoryExports& exports_;
};

Task<void> serve(Reactor& reactor, nbd::Server& server, SocketAddress address, nbd::TlsTerms tls,
                 int signals) {
  auto listener = value_or_throw(SocketListener::open(reactor, std::move(address)));
  fmt::print("listening on {}\n", listener->address().text());
  std::fflush(stdout);
  reactor.spawn(server.serve(std::move(listener), tls));
  signalfd_siginfo info{};
  const auto prepare = [&](io_uring_sqe* entry) {
    io_uring_prep_read(entry, signals, &info, sizeof info, 0);
  };
  co_await reactor.submit(prepare);
  co_await server.shutdown();
}

void add_export(Reactor& reactor, test::MemoryExports& exports, std::string_view argument) {
  constexpr std::size_t kPagesInFlight = 64 << 10;
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos) throw std::runtime_error("an export is named NAME=MIB");
  const std::string name{argument.substr(0, equals)};
  const std::uint64_t size_bytes = std::stoull(std::string{argument.substr(equals + 1)}) << 20;
  auto device = std::make_shared<test::MemoryDevice>(reactor, size_bytes,
                                                     blocks_for(size_bytes) + kPagesInFlight);
  device->keep_log = false;
  device->is_read_only = name.starts_with("ro-");
  exports.all.push_back({{name, "a device in memory"}, device});
}

}  // namespace

int main(int argc, char** argv) try {
  const bool by_tls = argc > 1 && std::string_view{argv[1]} == "--tls";
  if (by_tls) {
    --argc;
    ++argv;
  }
  if (argc < 3) {
    fmt::print(stderr, "usage: memory_nbd_server [--tls] unix:PATH|tcp:HOST:PORT NAME=MIB...\n");
    return 2;
  }
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  sigprocmask(SIG_BLOCK, &ending, nullptr);
  const int signals = signalfd(-1, &ending, SFD_CLOEXEC);

  SocketAddress address = value_or_throw(parse_socket_address(argv[1]));
  Reactor reactor{Reactor::Options{}};
  {
    test::MemoryExports exports;
    for (int i = 2; i < argc; ++i) add_export(reactor, exports, argv[i]);
    OpenSecurity security{reactor, exports};
    const nbd::TlsTerms tls{by_tls ? nbd::TlsMode::kRequired : nbd::TlsMode::kOff, &security};
    nbd::Server server{reactor, exports};
    reactor.run(serve(reactor, server, std::move(address), tls, signals));
  }
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "memory_nbd_server: {}\n", error.what());
  return 1;
}
