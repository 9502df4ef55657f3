// SPDX-License-Identifier: Apache-2.0
//
// The backend that reads a vault directly: the way to data when everything else is gone.
#include <algorithm>
#include <string_view>
#include <thread>
#include <utility>

#include "cdp/io/file_disk.h"
#include "cdp/io/reactor.h"
#include "journal/vault.h"
#include "restore/image_source.h"
#include "tools/api/queries.h"
#include "tools/cli/backend.h"

namespace tools::cli {
namespace {

using cdp::Result;
using cdp::Status;
using cdp::Task;

cdp::Reactor::Options reactor_options() {
  cdp::Reactor::Options options;
  options.workers = std::max(2u, std::thread::hardware_concurrency());
  return options;
}

class VaultBackend final : public Backend {
 public:
  VaultBackend(std::string directory, const restore::TimeZone& zone)
      : directory_(std::move(directory)), zone_(zone), reactor_(reactor_options()) {}

  Status open() {
    auto root = cdp::FileDirectory::open(reactor_, directory_, false);
    if (!root.ok()) return std::move(root).error();
    root_ = std::move(root).value();
    Result<journal::Vault> vault = run(journal::open_vault(*root_));
    if (!vault.ok()) {
      if (vault.error().code != ENOENT) return std::move(vault).error();
      return cdp::make_error(ENOENT, "{} is not a vault: it holds no file {}", directory_,
                             journal::kVaultFileName);
    }
    auto segments = cdp::FileDirectory::open(
        reactor_, directory_ + "/" + journal::kSegmentsDirectoryName, false);
    if (!segments.ok()) return std::move(segments).error();
    segments_ = std::move(segments).value();
    queries_.emplace(reactor_, *segments_, std::move(vault).value());
    return {};
  }

  Reply volumes(bool with_removed) override {
    return run(queries_->volumes(history(), with_removed));
  }
  Reply volume(const std::string& name) override { return run(queries_->volume(history(), name)); }
  Reply points(const std::string& name, std::optional<restore::Point> point) override {
    return run(queries_->points(history(), name, std::move(point)));
  }
  Reply status() override { return run(queries_->status(history())); }
  Reply verify(bool deep, const ProgressFunction& progress) override {
    return run(queries_->verify({deep, progress}));
  }
  Result<std::vector<std::string>> restore(const std::string& volume_id, cdp::Lsn lsn,
                                           restore::ImageTarget& target) override {
    return run(restore_image("id:" + volume_id, lsn, target));
  }

  Reply create_volume(const std::string&, std::uint64_t, const std::string&) override {
    return refused("volume create");
  }
  Reply resize_volume(const std::string&, std::uint64_t) override {
    return refused("volume resize");
  }
  Reply rename_volume(const std::string&, const std::string&) override {
    return refused("volume rename");
  }
  Reply remove_volume(const std::string&) override { return refused("volume remove"); }
  Reply resume_volume(const std::string&) override { return refused("volume resume"); }
  Reply mark(const std::string&, const std::string&) override { return refused("mark"); }

 private:
  static cdp::Error refused(std::string_view verb) {
    return cdp::make_error(EPERM,
                           "`{}` changes a vault, and --vault only reads one: ask the daemon that "
                           "serves it, with --server",
                           verb);
  }

  restore::HistoryOptions history() const { return {std::nullopt, zone_}; }

  Task<Result<std::vector<std::string>>> restore_image(std::string volume, cdp::Lsn lsn,
                                                       restore::ImageTarget& target) {
    Result<std::unique_ptr<restore::ImageSource>> source =
        co_await queries_->image(history(), std::move(volume), restore::Point::at_lsn(lsn));
    if (!source.ok()) co_return std::move(source).error();
    Status written =
        co_await restore::write_image(reactor_, **source, target, restore::ExportOptions{});
    if (!written.ok()) co_return std::move(written).error();
    std::vector<std::string> sentences;
    for (restore::Notice& notice : (*source)->notices()) {
      sentences.push_back(std::move(notice.message));
    }
    co_return std::move(sentences);
  }

  template <typename T>
  T run(Task<T> task) {
    std::optional<T> result;
    reactor_.run(keep(std::move(task), &result));
    return std::move(*result);
  }
  template <typename T>
  static Task<void> keep(Task<T> task, std::optional<T>* result) {
    result->emplace(co_await std::move(task));
  }

  const std::string directory_;
  const restore::TimeZone zone_;
  cdp::Reactor reactor_;
  std::unique_ptr<cdp::FileDirectory> root_;
  std::unique_ptr<cdp::FileDirectory> segments_;
  std::optional<api::VaultQueries> queries_;
};

}  // namespace

Result<std::unique_ptr<Backend>> make_vault_backend(const std::string& directory,
                                                    const restore::TimeZone& zone) {
  auto backend = std::make_unique<VaultBackend>(directory, zone);
  Status opened = backend->open();
  if (!opened.ok()) return std::move(opened).error();
  return std::unique_ptr<Backend>{std::move(backend)};
}

}  // namespace tools::cli
