// SPDX-License-Identifier: Apache-2.0
//
// The engine without a journal, served by NBD: the yardstick for what protection costs. One volume,
// of all of a file that equals it, whose changes a NullRecorder takes; ends on SIGTERM.
//
//   null_server --backing FILE --nbd unix:PATH|tcp:HOST:PORT [--dirty-budget BYTES]
#include <signal.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/io/file_disk.h"
#include "cdp/io/pages.h"
#include "cdp/io/reactor.h"
#include "cdp/io/socket.h"
#include "cdp/nbd/server.h"
#include "cdp/null_recorder.h"
#include "cdp/sequencer.h"
#include "cdp/volume.h"

namespace {

// As the appliance has them.
constexpr std::size_t kReceiveBytes = 32u << 20;
constexpr std::size_t kReadBytes = 64u << 20;

struct Options {
  std::string backing;
  std::string nbd;
  std::uint64_t dirty_budget = 128u << 20;
};

class OneVolume final : public cdp::ExportList {
 public:
  explicit OneVolume(std::shared_ptr<cdp::Volume> volume) : volume_(std::move(volume)) {}
  std::vector<Entry> exports() const override { return {{"", "not protected"}}; }
  cdp::Task<cdp::Result<std::shared_ptr<cdp::BlockDevice>>> find(std::string) override {
    co_return std::shared_ptr<cdp::BlockDevice>(volume_);
  }

 private:
  std::shared_ptr<cdp::Volume> volume_;
};

cdp::Task<void> serve(cdp::Reactor& reactor, const cdp::Clock& clock, const Options& options,
                      int signal_fd) {
  auto backing = cdp::value_or_throw(
      cdp::FileDisk::open(reactor, options.backing, cdp::OpenMode::kReadWrite, true));
  cdp::Sequencer sequencer{clock};
  cdp::NullRecorder recorder{reactor};
  cdp::PagePool write_pages{reactor, (options.dirty_budget + kReceiveBytes) / cdp::kBlockBytes};
  cdp::PagePool read_pages{reactor, kReadBytes / cdp::kBlockBytes};
  const auto volume = std::make_shared<cdp::Volume>(
      cdp::VolumeParts{reactor, sequencer, recorder, *backing, write_pages, read_pages},
      cdp::VolumeOptions{.id = {1},
                         .name = "null",
                         .size_bytes = backing->size_bytes(),
                         .dirty_budget_bytes = options.dirty_budget});
  OneVolume exports{volume};
  cdp::nbd::Server server{reactor, exports};
  auto address = cdp::value_or_throw(cdp::parse_socket_address(options.nbd));
  auto listener = cdp::value_or_throw(cdp::SocketListener::open(reactor, std::move(address)));
  cdp::TaskGroup serving{reactor};
  serving.spawn(server.serve(std::move(listener)));
  signalfd_siginfo info{};
  co_await reactor.submit([signal_fd, &info](io_uring_sqe* entry) {
    io_uring_prep_read(entry, signal_fd, &info, sizeof info, 0);
  });
  co_await server.shutdown();
  co_await serving.join();
  const cdp::Status closed = co_await volume->close();
  if (!closed) std::fprintf(stderr, "null_server: %s\n", closed.error().message.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Serves a file by NBD through the engine, without a journal"};
  app.add_option("--backing", options.backing)->required();
  app.add_option("--nbd", options.nbd)->required();
  app.add_option("--dirty-budget", options.dirty_budget);
  CLI11_PARSE(app, argc, argv);
  try {
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigprocmask(SIG_BLOCK, &stops, nullptr);
    const cdp::FileDescriptor signals{signalfd(-1, &stops, SFD_CLOEXEC)};
    const cdp::SystemClock clock;
    cdp::Reactor reactor{{}};
    reactor.run(serve(reactor, clock, options, signals.get()));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "null_server: %s\n", error.what());
    return 1;
  }
}
