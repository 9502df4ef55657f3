// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "restore/target_file.h"
#include "restore/time_zone.h"

namespace tools::cli {
namespace {

constexpr std::chrono::milliseconds kBarInterval{100};
constexpr std::chrono::seconds kLineInterval{10};
constexpr std::uint64_t kBarCells = 30;

}  // namespace

std::string progress_text(const std::string& what, std::uint64_t done_bytes,
                          std::uint64_t all_bytes, double elapsed_seconds) {
  const double rate = static_cast<double>(done_bytes) / std::max(elapsed_seconds, 1e-9);
  std::string text = fmt::format("{}: {}", what, restore::format_bytes(done_bytes));
  if (all_bytes != 0) text += " of " + restore::format_bytes(all_bytes);
  text += fmt::format(", {}/s", restore::format_bytes(static_cast<std::uint64_t>(rate)));
  if (done_bytes == 0 || done_bytes >= all_bytes) return text;
  const auto rest = static_cast<double>(all_bytes - done_bytes);
  const auto left = static_cast<std::int64_t>(rest / rate * 1e9);
  return text + fmt::format(", {} left", restore::format_duration(cdp::Nanos{left}));
}

Progress::Progress(std::string what)
    : what_(std::move(what)), on_terminal_(::isatty(STDERR_FILENO) == 1) {
  next_ += on_terminal_ ? Clock::duration{kBarInterval} : Clock::duration{kLineInterval};
}

Progress::~Progress() {
  if (drawn_ && on_terminal_) std::fputs("\r\033[K", stderr);
}

void Progress::update(std::uint64_t done_bytes, std::uint64_t all_bytes) {
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + (on_terminal_ ? Clock::duration{kBarInterval} : Clock::duration{kLineInterval});
  drawn_ = true;
  const double elapsed = std::chrono::duration<double>(now - started_).count();
  const std::string text = progress_text(what_, done_bytes, all_bytes, elapsed);
  if (!on_terminal_) {
    std::fprintf(stderr, "hindsight: %s\n", text.c_str());
    return;
  }
  std::string bar;
  if (all_bytes != 0) {
    const double part =
        std::min(1.0, static_cast<double>(done_bytes) / static_cast<double>(all_bytes));
    const auto cells = static_cast<std::size_t>(part * kBarCells);
    bar = fmt::format(" [{}{}]", std::string(cells, '#'), std::string(kBarCells - cells, '.'));
  }
  std::fprintf(stderr, "\r\033[K%s%s", text.c_str(), bar.c_str());
  std::fflush(stderr);
}

}  // namespace tools::cli
