// SPDX-License-Identifier: Apache-2.0
#include "tools/check/tool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <stdexcept>

#include "cdp/base/utf8.h"
#include "cdp/io/file_disk.h"
#include "tools/check/sandbox.h"
#include "tools/daemon/checks/checker_protocol.h"

namespace check {

namespace {

constexpr int kCannotRun = 127;
constexpr std::string_view kDirectories[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};
// Of raw output, more than what is left of it when it is plain; and as much as is ever told of a
// device's content.
constexpr std::size_t kKeptBytes = 4 * tools::kCheckOutputBytesMax;
constexpr std::size_t kHeadBytes = 128u << 10;

// Nothing of ours is left to the child that calls it, but where its output goes.
void become_nobody(int output) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  close_range(STDERR_FILENO + 1, ~0u, 0);
  drop_everything();
}

[[noreturn]] void become(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  char locale[] = "LC_ALL=C";
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {locale, path, nullptr};
  execve(words.front(), words.data(), environment);
  _exit(kCannotRun);
}

// All that it says, of which the middle is left out.
void read_all(int from, std::string& head, std::string& kept) {
  for (;;) {
    char bytes[16384];
    const ssize_t got = read(from, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    if (head.size() < kHeadBytes) head.append(bytes, static_cast<std::size_t>(got));
    kept.append(bytes, static_cast<std::size_t>(got));
    if (kept.size() > 2 * kKeptBytes) kept.erase(0, kept.size() - kKeptBytes);
  }
}

// How a child ended that does `work` as nobody; `head` and `tail` are of its output.
int run_child(const std::function<void()>& work, std::string& head, std::string& tail) {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("making a pipe for a tool");
  const cdp::FileDescriptor output{ends[0]};
  cdp::FileDescriptor theirs{ends[1]};
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("starting a tool");
  if (child == 0) {
    become_nobody(theirs.get());
    work();
    _exit(EXIT_SUCCESS);
  }
  theirs = {};
  read_all(output.get(), head, tail);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

// How many bytes the character at the front takes; 0 where there is none.
std::size_t character_bytes(std::string_view text) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(4, text.size()); ++length)
    if (cdp::is_utf8(text.substr(0, length))) return length;
  return 0;
}

}  // namespace

std::string path_of_tool(std::string_view name) {
  for (const std::string_view directory : kDirectories) {
    std::string path = fmt::format("{}/{}", directory, name);
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

ToolRun run_tool(const std::vector<std::string>& command) {
  std::string head;
  std::string tail;
  const int status = run_child([&command] { become(command); }, head, tail);
  ToolRun run;
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  run.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  run.head = plain_tail(std::string_view{head}.substr(0, kKeptBytes), kKeptBytes);
  run.output = plain_tail(tail, tools::kCheckOutputBytesMax);
  return run;
}

std::string run_apart(const std::function<std::string()>& work) {
  const auto tell = [&work] {
    std::string said;
    bool has_failed = false;
    try {
      said = work();
    } catch (const std::exception& error) {
      said = error.what();
      has_failed = true;
    }
    for (std::size_t at = 0; at < said.size();) {
      const ssize_t taken = write(STDOUT_FILENO, said.data() + at, said.size() - at);
      if (taken < 0) _exit(EXIT_FAILURE);
      at += static_cast<std::size_t>(taken);
    }
    if (has_failed) _exit(EXIT_FAILURE);
  };
  std::string head;
  std::string tail;
  const int status = run_child(tell, head, tail);
  if (WIFSIGNALED(status))
    throw std::runtime_error("the content cannot be named: it ends who tries");
  if (WEXITSTATUS(status) != EXIT_SUCCESS) throw std::runtime_error(head);
  return head;
}

std::string plain_tail(std::string_view bytes, std::size_t bytes_max) {
  std::string plain;
  while (!bytes.empty()) {
    const std::size_t length = character_bytes(bytes);
    const auto first = static_cast<unsigned char>(bytes.front());
    const bool is_c1 = length == 2 && first == 0xc2 && static_cast<unsigned char>(bytes[1]) < 0xa0;
    if (length == 0 || is_c1) {
      plain += '?';
    } else if (first == '\t') {
      plain += ' ';
    } else if (first == '\n' || (first >= 0x20 && first != 0x7f)) {
      plain += bytes.substr(0, length);
    }  // others only move the cursor
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  if (plain.size() <= bytes_max) return plain;
  plain.erase(0, plain.size() - bytes_max);
  while (!plain.empty() && !cdp::is_utf8(plain)) plain.erase(0, 1);
  return plain;
}

}  // namespace check
