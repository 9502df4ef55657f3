// SPDX-License-Identifier: Apache-2.0
//
// make_manual DIRECTORY: writes the pages of the manual and the completion for bash there. The
// build runs it.
#include <cerrno>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "tools/manual/command_pages.h"
#include "tools/manual/completion.h"
#include "tools/manual/grammar.h"
#include "tools/manual/settings_page.h"

namespace tools::manual {
namespace {

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw std::system_error(errno, std::generic_category(), "writing " + path.string());
}

void write_all(const std::filesystem::path& directory) {
  const ClientGrammar client;
  const DaemonGrammar daemon;
  std::filesystem::create_directories(directory);
  write_file(directory / "hindsight.1", client_page(client.app));
  write_file(directory / "hindsightd.8", daemon_page(daemon.app));
  write_file(directory / "hindsight.toml.5", settings_page(daemon.app.version()));
  write_file(directory / "hindsight.bash", bash_completion({&client.app, &daemon.app}));
}

}  // namespace
}  // namespace tools::manual

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_manual DIRECTORY\n");
    return 2;
  }
  try {
    tools::manual::write_all(argv[1]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_manual: %s\n", error.what());
    return 1;
  }
}
