// SPDX-License-Identifier: Apache-2.0
//
// The command line of `hindsight`: what was asked, checked as far as the words go.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "restore/image_target.h"

namespace CLI {
class App;
}

namespace tools::cli {

inline constexpr char kDefaultServer[] = "unix:/var/lib/hindsight/control.sock";

enum class Verb {
  kNextSteps,  // of no verb
  kVolumeCreate,
  kVolumeList,
  kVolumeShow,
  kVolumeResize,
  kVolumeRename,
  kVolumeRemove,
  kVolumeResume,
  kPoints,
  kTimeline,
  kMark,
  kRestore,
  kView,
  kClone,
  kCloneList,
  kCloneRemove,
  kRecover,
  kRollback,
  kDiff,
  kCheck,
  kVerify,
  kStatus,
  kJobs,
  kJobShow,
  kJobCancel,
  kAlertTest,
  kAudit,
  // access_verbs.h
  kSetup,
  kLogin,
  kLogout,
  kWhoami,
  kUserCreate,
  kUserList,
  kUserChange,
  kUserRemove,
  kUserPassword,
  kTokenCreate,
  kTokenList,
  kTokenRevoke,
  // tls_verbs.h
  kTlsInit,
  kTlsClient,
};

struct CommandLine {
  Verb verb = Verb::kStatus;
  // Common.
  std::string server;                // unix:PATH, https://HOST:PORT
  std::string ca_file;               // of the server's CA; empty: see make_client
  std::optional<std::string> vault;  // a directory: read it instead of asking a daemon
  std::string tz;                    // empty: the local zone
  bool json = false;
  // Of the verbs.
  std::string name;
  std::vector<std::string> names;      // of verbs that take several
  std::vector<std::string> new_names;  // --as
  std::string new_name;
  std::uint64_t size_bytes = 0;
  std::string backing;
  bool with_removed = false;
  std::optional<std::string> at;
  std::string from;                   // a point, as `until`; of timeline: --since
  std::string until;                  // of diff: --to
  std::optional<std::uint64_t> step;  // seconds
  bool dry_run = false;
  bool disconnect = false;
  bool yes = false;
  std::string label;
  bool all_volumes = false;
  std::string to;
  restore::ImageFormat format = restore::ImageFormat::kRaw;
  bool force = false;
  bool deep = false;
  // Of users, tokens and certificates.
  std::vector<std::string> roles;
  std::optional<bool> sees_data;
  bool change_password = false;
  std::optional<int> days;
  std::string code;
  std::string token_id;
  std::string tls_directory;
  std::vector<std::string> host_names;
  std::uint64_t job = 0;
  // Of the audit and of jobs.
  std::optional<std::uint64_t> limit;
  std::optional<std::uint64_t> before;
};

// What a point is, and what the exit codes mean: in --help and in the manual.
extern const char kPointsHelp[];
extern const char kExitCodes[];

// The variable of the environment that holds a token.
inline constexpr char kTokenVariable[] = "HINDSIGHT_TOKEN";

// Words that are judged once all have been read.
struct UncheckedWords {
  std::string size;
  std::string at;
  std::string format = "raw";
  std::vector<std::string> of_mark;
  std::string before;
};

// Fills an empty `app` with every verb and option: what is parsed, and what the manual is made of.
// `line` and `words` must outlive it.
void describe_command_line(CLI::App& app, CommandLine& line, UncheckedWords& words);

// Fills `*line`, or gives the exit code with which to end at once: 0 after --help and --version, 2
// after wrong usage, which has been said on stderr.
std::optional<int> parse_command_line(int argc, const char* const* argv, CommandLine* line);

}  // namespace tools::cli
