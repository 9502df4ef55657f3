// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "restore/target_file.h"
#include "tools/api/size.h"

namespace tools {
namespace {

constexpr int kWrongUsage = 2;
constexpr char kUnixPrefix[] = "unix:";
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kMinDirtyBytes = 16 * kMiB;
constexpr std::uint64_t kMinHydrationRate = kMiB;
constexpr std::uint64_t kMaxHydrationRate = kMiB << 20;
constexpr std::uint64_t kMinSegmentBytes = 20 * kMiB;
constexpr std::uint64_t kMaxSegmentBytes = 1024 * kMiB;
constexpr std::uint64_t kMinDedupBytes = kMiB;
constexpr std::uint64_t kMaxMemoryBytes = kMiB << 20;

constexpr char kFooter[] =
    "Empty directories are initialised. The vault belongs on other disks than the volumes: what\n"
    "destroys one must not destroy the other.\n"
    "\n"
    "  hindsightd --vault /srv/vault --state /srv/hindsight\n"
    "  hindsight --server unix:/srv/hindsight/control.sock volume create shop --size 20G\n";

[[noreturn]] void refuse(const std::string& sentence) {
  std::cerr << "hindsightd: " << sentence << "; see hindsightd --help\n";
  std::exit(kWrongUsage);
}

// A size such as 64M, within bounds.
CLI::Option* add_size(CLI::App& app, const std::string& name, std::uint64_t& into,
                      std::uint64_t least, std::uint64_t most, const std::string& description) {
  const auto take = [name, &into, least, most](const std::string& text) {
    const cdp::Result<std::uint64_t> bytes = api::parse_size(text);
    if (!bytes) throw CLI::ValidationError(name, bytes.error().message);
    if (*bytes < least || *bytes > most) {
      throw CLI::ValidationError(
          name, fmt::format("{} is not between {} and {}", text, restore::format_bytes(least),
                            restore::format_bytes(most)));
    }
    into = *bytes;
  };
  return app.add_option_function<std::string>(name, take, description)->type_name("SIZE");
}

// What the daemon prints, and hands to clients, must not depend on where it was started.
std::string absolute(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

cdp::SocketAddress nbd_address(const std::string& text, bool insecure) {
  cdp::Result<cdp::SocketAddress> address = cdp::parse_socket_address(text);
  if (!address) refuse("--nbd: " + address.error().message);
  if (address->kind == cdp::SocketAddress::Kind::kUnix) address->path = absolute(address->path);
  if (!cdp::is_loopback(*address) && !insecure) {
    refuse(
        "--nbd " + text +
        " is not a loopback address, and NBD would travel there in clear: serve a unix socket or "
        "127.0.0.1, or say --insecure");
  }
  return *address;
}

}  // namespace

DaemonOptions parse_daemon_options(int argc, char** argv) {
  DaemonOptions options;
  std::string control;
  std::vector<std::string> nbd;
  CLI::App app{
      "hindsightd serves block volumes over NBD and keeps every write, so that any second can be\n"
      "had back. It runs in the foreground, logs to stderr and stops on SIGTERM or SIGINT."};
  app.footer(kFooter);
  app.set_version_flag("--version", "hindsightd " HINDSIGHT_VERSION);
  app.get_formatter()->column_width(34);
  app.add_option("--vault", options.vault_path, "Directory of the journal")
      ->capture_default_str()
      ->type_name("DIR");
  app.add_option("--state", options.state_path,
                 "Directory of everything else: backing files, sockets")
      ->capture_default_str()
      ->type_name("DIR");
  app.add_option("--nbd", nbd,
                 "Where to serve NBD, may be given again (default: unix:STATE/nbd.sock)")
      ->type_name("unix:PATH|tcp:HOST:PORT")
      ->type_size(1)
      ->allow_extra_args(false);
  app.add_option("--control", control, "Control socket (default: unix:STATE/control.sock)")
      ->type_name("unix:PATH");
  app.add_flag("--insecure", options.insecure,
               "Serve NBD beyond loopback although nothing is encrypted");
  add_size(app, "--dirty-budget", options.dirty_bytes, kMinDirtyBytes, kMaxMemoryBytes,
           "Memory for writes on their way to the backing stores")
      ->default_str("128M");
  add_size(app, "--hydration-rate", options.hydration_bytes_per_second, kMinHydrationRate,
           kMaxHydrationRate,
           "Bytes a second that hydration may copy, of each volume (default: no limit)");
  add_size(app, "--segment-size", options.segment_bytes, kMinSegmentBytes, kMaxSegmentBytes,
           "Length of a journal segment")
      ->default_str("256M");
  add_size(app, "--dedup-memory", options.dedup_bytes, kMinDedupBytes, kMaxMemoryBytes,
           "Memory of the table of recent blocks")
      ->default_str("128M");
  app.add_flag("-v,--verbose", options.verbose, "Log connections too");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    std::exit(app.exit(done));
  } catch (const CLI::ParseError& error) {
    refuse(error.what());
  }
  options.vault_path = absolute(options.vault_path);
  options.state_path = absolute(options.state_path);
  if (options.vault_path == options.state_path) {
    refuse("--vault and --state must be two directories, on different disks at best");
  }
  if (nbd.empty()) nbd.push_back(kUnixPrefix + options.state_path + "/nbd.sock");
  for (const std::string& text : nbd) {
    options.nbd_addresses.push_back(nbd_address(text, options.insecure));
  }
  if (control.empty()) control = kUnixPrefix + options.state_path + "/control.sock";
  if (!control.starts_with(kUnixPrefix)) refuse("--control takes unix:PATH, not " + control);
  options.control_path = absolute(control.substr(sizeof kUnixPrefix - 1));
  return options;
}

}  // namespace tools
