// SPDX-License-Identifier: Apache-2.0
//
// The qcow2 target: a raw image first, which qemu-img then converts. Neither has the final name
// before the conversion is whole and durable.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include "restore/image_target.h"
#include "restore/target_file.h"

namespace restore {
namespace {

using cdp::errno_error;
using cdp::make_error;
using cdp::Result;
using cdp::Status;

bool in_path(const std::string& program) {
  const char* variable = std::getenv("PATH");
  std::string_view rest = variable != nullptr ? variable : "/usr/local/bin:/usr/bin:/bin";
  while (!rest.empty()) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), directory.size() + 1));
    const std::string file = fmt::format("{}/{}", directory, program);
    if (::access(file.c_str(), X_OK) == 0) return true;
  }
  return false;
}

// Runs a program to its end; an error carries what it said on stderr.
Status run_program(std::vector<std::string> arguments) {
  std::array<int, 2> said{};
  if (::pipe2(said.data(), O_CLOEXEC) != 0) return errno_error(errno, "making a pipe");
  const cdp::FileDescriptor reading{said[0]};
  cdp::FileDescriptor writing{said[1]};

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, writing.get(), STDERR_FILENO);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return errno_error(failed, "starting " + arguments[0]);
  writing = cdp::FileDescriptor{};

  std::string output;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t got = ::read(reading.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (output.size() < buffer.size()) output.append(buffer.data(), static_cast<std::size_t>(got));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return make_error(EIO, "{} failed: {}", arguments[0],
                    output.empty() ? "it said nothing" : output);
}

class Qcow2Target final : public ImageTarget {
 public:
  Qcow2Target(PartialFile raw, PartialFile converted)
      : raw_(std::move(raw)), converted_(std::move(converted)) {}

  Status start(const ImageSize& size) override {
    Status room = raw_.check_room(2 * size.data_bytes.value_or(0));
    if (!room.ok()) return room;
    if (::ftruncate(raw_.fd(), static_cast<off_t>(size.bytes)) != 0) {
      return errno_error(errno,
                         fmt::format("giving {} its size of {} bytes", raw_.path(), size.bytes));
    }
    return {};
  }
  Status data(std::uint64_t offset, std::span<const std::byte> bytes) override {
    return write_at(raw_.fd(), raw_.path(), offset, bytes);
  }
  Status zero(std::uint64_t, std::uint64_t) override { return {}; }
  Status finish() override {
    Status converted = run_program(
        {"qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw_.path(), converted_.path()});
    if (!converted.ok()) return converted;
    return converted_.publish();
  }

 private:
  PartialFile raw_;
  PartialFile converted_;
};

}  // namespace

Result<std::unique_ptr<ImageTarget>> open_qcow2_target(const std::string& path, bool force) {
  if (!in_path("qemu-img")) {
    return make_error(ENOENT,
                      "qcow2 images are made by qemu-img, which is not installed here: install the "
                      "package qemu-utils, or use --format raw");
  }
  Result<PartialFile> raw = PartialFile::create(path, force);
  if (!raw.ok()) return raw.error();
  Result<PartialFile> converted = PartialFile::create(path, force);
  if (!converted.ok()) return converted.error();
  return std::unique_ptr<ImageTarget>{
      std::make_unique<Qcow2Target>(std::move(raw).value(), std::move(converted).value())};
}

}  // namespace restore
