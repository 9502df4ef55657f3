// SPDX-License-Identifier: Apache-2.0
#include "tools/check/file_systems.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>

#include "tools/check/tool.h"

namespace check {

namespace {

constexpr char kClean[] = "clean";
constexpr char kRecovered[] = "recovered";
constexpr char kDamaged[] = "damaged";
constexpr char kNeedsMount[] = "needs_mount";
constexpr char kNotChecked[] = "not_checked";

constexpr Tool kTools[] = {
    {"ext2", "e2fsck", "e2fsprogs"},    {"ext3", "e2fsck", "e2fsprogs"},
    {"ext4", "e2fsck", "e2fsprogs"},    {"ext4dev", "e2fsck", "e2fsprogs"},
    {"xfs", "xfs_repair", "xfsprogs"},  {"btrfs", "btrfs", "btrfs-progs"},
    {"vfat", "fsck.fat", "dosfstools"},
};

struct Reason {
  std::string_view type;
  const char* why;
};
constexpr Reason kReasons[] = {
    {kUnknown, "libblkid knows nothing that begins like this"},
    {"swap", "it is swap space, which holds nothing that lasts"},
    {"LVM2_member", "it is a part of LVM's: what its volumes hold is not looked into"},
    {"crypto_LUKS", "it is encrypted, and the key is not here"},
    {"linux_raid_member", "it is a part of an array: what that holds is not looked into"},
    {"ntfs", "Debian has no tool that checks NTFS and repairs nothing"},
    {"jbd", "it is the journal of a file system that lies elsewhere"},
};

// --- Bytes of superblocks, as their formats have them: little endian ----------------------------

constexpr off_t kExtIncompatible = 1024 + 0x60;
constexpr unsigned kExtNeedsRecovery = 4;
constexpr off_t kBtrfsDeviceCount = 65536 + 0x88;
constexpr off_t kFatSectors16 = 22;  // 0: it is FAT32, whose state has another place
constexpr off_t kFatState16 = 0x25;
constexpr off_t kFatState32 = 0x41;
constexpr unsigned char kFatWasNotUnmounted = 1;

template <std::size_t kBytes>
std::uint64_t number_at(const std::string& path, off_t offset) {
  const cdp::FileDescriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  std::array<unsigned char, kBytes> bytes{};
  if (pread(file.get(), bytes.data(), kBytes, offset) != static_cast<ssize_t>(kBytes))
    throw std::runtime_error("a superblock cannot be read");
  std::uint64_t number = 0;
  for (std::size_t i = kBytes; i-- > 0;) number = number << 8 | bytes[i];
  return number;
}

// --- Tools --------------------------------------------------------------------------------------

Verdict verdict(const char* outcome, const ToolRun& run, std::string reason = {}) {
  return {.outcome = outcome, .reason = std::move(reason), .output = run.output};
}

// The last line of what it said.
std::string last_words(const ToolRun& run) {
  std::string_view said = run.output;
  while (said.ends_with('\n')) said.remove_suffix(1);
  said = said.substr(said.rfind('\n') + 1);
  return plain_tail(said, 200);
}

// What says nothing of the file system: the tool itself did not come to its end.
bool has_given_up(const ToolRun& run) {
  constexpr int kCannotRun = 127;
  return run.signal != 0 || run.exit_code == kCannotRun ||
         run.has_said("emory allocation failed") || run.has_said("annot allocate memory") ||
         run.has_said("ut of memory") || run.has_said("nsupported feature");
}

Verdict given_up(const ToolRun& run) {
  std::string why = run.signal != 0 ? fmt::format("the tool was ended by signal {}", run.signal)
                                    : fmt::format("the tool gave up: {}", last_words(run));
  return verdict(kNotChecked, run, std::move(why));
}

Verdict by_exit_code(const ToolRun& run) {
  if (has_given_up(run)) return given_up(run);
  return verdict(run.exit_code == 0 ? kClean : kDamaged, run);
}

bool needs_recovery(const std::string& path) {
  return (number_at<4>(path, kExtIncompatible) & kExtNeedsRecovery) != 0;
}

// A journal that makes no sense to it, e2fsck puts a new one in the place of (and exits with 1),
// and of one with a wrong checksum it replays what comes before that (and exits with 0): what
// should have been replayed is then lost, however sound the rest may look.
bool is_replayed(const ToolRun& run, const std::string& path) {
  return run.exit_code == 0 && !run.has_said("ournal checksum error") && !needs_recovery(path);
}

Verdict check_ext(const std::string& tool, const std::string& path) {
  const bool replays = needs_recovery(path);
  if (replays) {
    // Files that were deleted while open go with it, as at a mount.
    const ToolRun replayed = run_tool({tool, "-p", "-E", "journal_only", path});
    if (has_given_up(replayed)) return given_up(replayed);
    if (!is_replayed(replayed, path))
      return verdict(kDamaged, replayed, "its journal cannot be replayed");
  }
  Verdict found = by_exit_code(run_tool({tool, "-fn", path}));
  if (replays && found.outcome == kClean) found.outcome = kRecovered;
  return found;
}

Verdict check_xfs(const std::string& tool, const std::string& path) {
  const std::string log_printer = path_of_tool("xfs_logprint");
  if (log_printer.empty())
    return {.outcome = kNotChecked,
            .reason = "xfs_logprint is not installed; it is in Debian's package xfsprogs"};
  const ToolRun log = run_tool({log_printer, "-t", path});
  if (log.head.find("state: <DIRTY>") != std::string::npos)
    return {.outcome = kNeedsMount,
            .reason =
                "its log is to be replayed, which only a mount does: make a clone of the "
                "point, mount and unmount it, and check it with xfs_repair -n"};
  return by_exit_code(run_tool({tool, "-n", "-f", path}));
}

Verdict check_btrfs(const std::string& tool, const std::string& path) {
  const std::uint64_t devices = number_at<8>(path, kBtrfsDeviceCount);
  if (devices > 1)
    return {.outcome = kNotChecked,
            .reason = fmt::format("it lies on {} devices, and this is one of them", devices)};
  return by_exit_code(run_tool({tool, "check", "--readonly", path}));
}

// FAT has no journal. That it was in use is no damage, but fsck.fat has one word for both.
Verdict check_fat(const std::string& tool, const std::string& path) {
  const off_t state_at = number_at<2>(path, kFatSectors16) == 0 ? kFatState32 : kFatState16;
  const auto state = static_cast<unsigned char>(number_at<1>(path, state_at));
  const bool was_in_use = (state & kFatWasNotUnmounted) != 0;
  if (was_in_use) {
    const unsigned char unmounted = state & static_cast<unsigned char>(~kFatWasNotUnmounted);
    const cdp::FileDescriptor file{open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    if (pwrite(file.get(), &unmounted, 1, state_at) != 1)
      throw std::runtime_error("the device cannot be written");
  }
  Verdict found = by_exit_code(run_tool({tool, "-n", path}));
  if (was_in_use && found.outcome == kClean)
    found.reason = "it was in use: what was under way may be missing, as FAT keeps no journal";
  return found;
}

}  // namespace

const Tool* tool_of(const std::string& type) {
  const auto* const found = std::ranges::find(kTools, type, &Tool::type);
  return found == std::end(kTools) ? nullptr : found;
}

std::string why_not_checked(const std::string& type) {
  const auto* const found = std::ranges::find(kReasons, type, &Reason::type);
  return found == std::end(kReasons) ? "there is no tool for it here" : found->why;
}

Verdict verdict_of(const Tool& tool, FuseFile& file) {
  const std::string program = path_of_tool(tool.name);
  Verdict found;
  if (program.empty()) {
    found.outcome = kNotChecked;
    found.reason =
        fmt::format("{} is not installed; it is in Debian's package {}", tool.name, tool.package);
  } else {
    const std::string_view type = tool.type;
    found = type == "xfs"     ? check_xfs(program, file.path())
            : type == "btrfs" ? check_btrfs(program, file.path())
            : type == "vfat"  ? check_fat(program, file.path())
                              : check_ext(program, file.path());
  }
  file.require_served();
  found.tool = tool.name;
  if (found.outcome == kClean) found.output.clear();
  return found;
}

}  // namespace check
