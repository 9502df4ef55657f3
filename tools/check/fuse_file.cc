// SPDX-License-Identifier: Apache-2.0
#include "tools/check/fuse_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "tools/check/tool.h"

namespace check {

namespace {

constexpr int kStretchFd = STDERR_FILENO + 1;
constexpr std::chrono::milliseconds kPause{5};
constexpr int kPausesForEnd = 1000;
constexpr std::size_t kReasonBytesMax = 200;
constexpr std::size_t kAskedBytes = 4096;

struct Paths {
  std::string program;
  std::string file;
  std::string pid_file;
  std::string log;
};

// With every right inside the sandbox, which mounting takes.
[[noreturn]] void become_server(const Paths& paths, int stretch, Access access) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  const int log = open(paths.log.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int kept = fcntl(stretch, F_DUPFD_CLOEXEC, kStretchFd + 1);
  dup2(nothing, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  dup2(kept, kStretchFd);
  close_range(kStretchFd + 1, ~0u, 0);
  const std::string number = std::to_string(kStretchFd);
  // One connection is all there is, and what nbdfuse takes for granted without being told.
  const char* const flag = access == Access::kReadOnly ? "-r" : "-C1";
  execl(paths.program.c_str(), "nbdfuse", flag, "-P", paths.pid_file.c_str(), paths.file.c_str(),
        "--fd", number.c_str(), nullptr);
  _exit(EXIT_FAILURE);
}

bool has_bytes(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && info.st_size > 0;
}

}  // namespace

FuseFile::FuseFile(const cdp::FileDescriptor& stretch, Access access) {
  const std::string program = path_of_tool("nbdfuse");
  if (program.empty())
    throw std::runtime_error("nbdfuse is not installed; it is in Debian's package libnbd-bin");
  char name[] = "/tmp/check-XXXXXX";
  if (mkdtemp(name) == nullptr) throw std::runtime_error("making a directory for the device");
  directory_ = name;
  path_ = directory_ + "/disk";
  log_ = directory_ + ".log";
  const Paths paths{program, path_, directory_ + ".pid", log_};
  server_ = fork();
  if (server_ < 0) throw std::runtime_error("starting nbdfuse");
  if (server_ == 0) become_server(paths, stretch.get(), access);
  while (!has_bytes(paths.pid_file)) {
    if (has_ended()) give_up();
    std::this_thread::sleep_for(kPause);
  }
}

FuseFile::~FuseFile() {
  umount2(directory_.c_str(), MNT_DETACH);
  for (int pauses = 0; !has_ended(); ++pauses) {
    if (pauses == kPausesForEnd) kill(server_, SIGKILL);
    std::this_thread::sleep_for(kPause);
  }
}

bool FuseFile::has_ended() {
  if (server_ > 0 && waitpid(server_, nullptr, WNOHANG) == server_) server_ = -1;
  return server_ <= 0;
}

// What was killed a moment ago may not have ended yet: it is asked for something, past every cache.
void FuseFile::require_served() {
  alignas(kAskedBytes) char bytes[kAskedBytes];
  const cdp::FileDescriptor file{open(path_.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC)};
  const bool answers = file.valid() && pread(file.get(), bytes, sizeof bytes, 0) > 0;
  if (!answers || has_ended()) give_up();
}

void FuseFile::give_up() {
  std::ifstream log(log_);
  const std::string said{std::istreambuf_iterator<char>(log), std::istreambuf_iterator<char>()};
  std::string reason = plain_tail(said, kReasonBytesMax);
  while (!reason.empty() && reason.back() == '\n') reason.pop_back();
  throw std::runtime_error(fmt::format("the device cannot be read, as nbdfuse has ended{}{}",
                                       reason.empty() ? "" : ": ", reason));
}

}  // namespace check
