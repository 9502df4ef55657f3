// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/password_prompt.h"

#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

namespace tools::cli {
namespace {

using cdp::make_error;
using cdp::Result;

constexpr std::size_t kSecretBytesMax = 1024;
constexpr std::array kEndingSignals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

volatile std::sig_atomic_t caught = 0;
extern "C" void note_signal(int signal) { caught = signal; }

// While it lives, the terminal shows nothing of what is typed; a signal that would end the program
// does so when the terminal is as before.
class HiddenTyping {
 public:
  HiddenTyping() {
    caught = 0;
    struct sigaction action{};
    action.sa_handler = note_signal;  // and no SA_RESTART: reading ends
    for (std::size_t i = 0; i < kEndingSignals.size(); ++i) {
      ::sigaction(kEndingSignals[i], &action, &before_[i]);
    }
    is_changed_ = ::tcgetattr(STDIN_FILENO, &shown_) == 0;
    termios hidden = shown_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (is_changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  }
  ~HiddenTyping() {
    if (is_changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown_);
    std::fputc('\n', stderr);
    for (std::size_t i = 0; i < kEndingSignals.size(); ++i) {
      ::sigaction(kEndingSignals[i], &before_[i], nullptr);
    }
    if (caught != 0) ::raise(static_cast<int>(caught));
  }
  HiddenTyping(const HiddenTyping&) = delete;
  HiddenTyping& operator=(const HiddenTyping&) = delete;

 private:
  std::array<struct sigaction, kEndingSignals.size()> before_{};
  termios shown_{};
  bool is_changed_ = false;
};

// Byte by byte: what follows the line is somebody else's to read.
Result<std::string> read_line(const std::string& what) {
  std::string line;
  while (true) {
    char byte = 0;
    const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
    if (got < 0 && errno == EINTR && caught == 0) continue;
    if (got < 0) return cdp::errno_error(errno, "reading the " + what);
    if (got == 0 && line.empty()) return make_error(ENODATA, "no {} was given", what);
    if (got == 0 || byte == '\n') break;
    line += byte;
    if (line.size() > kSecretBytesMax) {
      return make_error(E2BIG, "the {} is longer than {} bytes", what, kSecretBytesMax);
    }
  }
  if (line.empty()) return make_error(ENODATA, "no {} was given", what);
  return line;
}

}  // namespace

Result<std::string> ask_secret(const std::string& what) {
  if (::isatty(STDIN_FILENO) == 0) return read_line(what);
  std::string prompt = what;
  prompt[0] =
      static_cast<char>(prompt[0] >= 'a' && prompt[0] <= 'z' ? prompt[0] - 'a' + 'A' : prompt[0]);
  // In this order: what is typed from the prompt on is neither shown nor dropped.
  const HiddenTyping hidden;
  std::fprintf(stderr, "%s: ", prompt.c_str());
  return read_line(what);
}

Result<std::string> ask_new_secret(const std::string& what) {
  Result<std::string> first = ask_secret(what);
  if (!first.ok() || ::isatty(STDIN_FILENO) == 0) return first;
  const Result<std::string> second = ask_secret(what + ", once more");
  if (!second.ok()) return second.error();
  if (*first != *second)
    return make_error(EINVAL, "both times it was not the same: nothing is done");
  return first;
}

}  // namespace tools::cli
