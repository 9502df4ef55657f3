// SPDX-License-Identifier: Apache-2.0
//
// The backend that reads a vault directly: the way to data when everything else is gone.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
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

// A vault that is not ours, and maybe somebody's who writes to it now. What of the time index is
// missing is made in a directory that goes when we do.
class Source final : public api::VaultSource {
 public:
  Source(cdp::Reactor& reactor, const std::string& vault_path, cdp::Directory& segments,
         journal::Vault vault)
      : reactor_(reactor),
        index_path_(vault_path + "/" + journal::index::kIndexDirectoryName),
        segments_(segments),
        vault_(std::move(vault)),
        blocks_(std::make_shared<journal::BlockReader>(reactor, segments, vault_)) {}
  ~Source() override {
    if (scratch_path_.empty()) return;
    std::error_code ignored;
    std::filesystem::remove_all(scratch_path_, ignored);
  }

  cdp::Scheduler& scheduler() override { return reactor_; }
  cdp::Directory& segments() override { return segments_; }
  const journal::Vault& vault() override { return vault_; }
  std::shared_ptr<journal::BlockReader> blocks() override { return blocks_; }

  Task<Result<Newest>> newest() override {
    std::vector<journal::Damage> lost;
    Result<journal::JournalState> state =
        co_await journal::newest_state(reactor_, segments_, vault_, &lost);
    if (state.ok()) {
      newest_ = std::max(newest_, state->lsn);
      co_return Newest{*std::move(state), std::nullopt, std::move(lost)};
    }
    if (state.error().code == ERANGE) co_return Newest{};
    co_return std::move(state).error();
  }

  Task<Result<journal::index::TimeIndex*>> index() override {
    if (index_ == nullptr) {
      Status made = make_scratch();
      if (!made.ok()) co_return std::move(made).error();
      auto saved = cdp::FileDirectory::open(reactor_, index_path_, false);
      if (saved.ok()) saved_ = std::move(saved).value();
      journal::index::TimeIndexOptions options;
      auto index = co_await journal::index::TimeIndex::open_beside(
          reactor_, saved_.get(), *scratch_, segments_, vault_, std::move(options));
      if (!index.ok()) co_return std::move(index).error();
      index_ = *std::move(index);
    }
    Status known = co_await index_->catch_up(newest_);
    if (!known.ok()) co_return std::move(known).error();
    co_return index_.get();
  }

  Task<Status> close() {
    Status closed;
    if (index_ != nullptr) closed = co_await index_->close();
    co_return closed;
  }

 private:
  Status make_scratch() {
    std::error_code error;
    const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
    std::string path = (error ? std::string{"/tmp"} : parent.string()) + "/hindsight-index.XXXXXX";
    if (mkdtemp(path.data()) == nullptr) return cdp::errno_error(errno, "making " + path);
    scratch_path_ = std::move(path);
    auto scratch = cdp::FileDirectory::open(reactor_, scratch_path_, false);
    if (!scratch.ok()) return std::move(scratch).error();
    scratch_ = std::move(scratch).value();
    return {};
  }

  cdp::Reactor& reactor_;
  const std::string index_path_;
  cdp::Directory& segments_;
  const journal::Vault vault_;
  const std::shared_ptr<journal::BlockReader> blocks_;
  std::string scratch_path_;
  std::unique_ptr<cdp::FileDirectory> scratch_;
  std::unique_ptr<cdp::FileDirectory> saved_;
  std::unique_ptr<journal::index::TimeIndex> index_;
  cdp::Lsn newest_;  // that `newest` gave
};

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
    source_ = std::make_unique<Source>(reactor_, directory_, *segments_, std::move(vault).value());
    queries_.emplace(*source_);
    return {};
  }
  ~VaultBackend() override {
    if (source_ != nullptr) (void)run(source_->close());
  }

  Reply volumes(bool with_removed) override { return run(queries_->volumes(zone_, with_removed)); }
  Reply volume(const std::string& name) override { return run(queries_->volume(zone_, name)); }
  Reply points(const std::string& name, std::optional<restore::Point> point) override {
    return run(queries_->points(zone_, name, std::move(point)));
  }
  Reply timeline(const std::string& name, const TimelineWindow& window) override {
    return run(queries_->timeline(zone_, name, {window.since, window.until, window.step}));
  }
  Reply jobs(std::optional<std::uint64_t>, std::optional<std::uint64_t>) override {
    return has_no_jobs();
  }
  Reply job(std::uint64_t) override { return has_no_jobs(); }
  Reply cancel_job(std::uint64_t) override { return has_no_jobs(); }
  Reply status() override { return run(queries_->status(zone_)); }
  Reply audit(const AuditWindow& window) override {
    api::AuditWindow of;
    if (window.before) of.before = cdp::Lsn{*window.before};
    if (window.limit) of.limit = *window.limit;
    return run(queries_->audit(zone_, of));
  }
  Reply verify(bool deep, const ProgressFunction& progress) override {
    return run(queries_->verify({deep, progress}));
  }
  Reply check(const std::string&, const restore::Point&, const ProgressFunction&) override {
    return cdp::make_error(EPERM,
                           "`check` needs the daemon, which has the point checked: with --vault, "
                           "`restore` writes an image that can be checked");
  }
  Reply diff(const std::string& name, restore::Point from, restore::Point to) override {
    return run(queries_->diff(zone_, name, std::move(from), std::move(to)));
  }
  Result<std::vector<std::string>> restore(const std::string& volume_id,
                                           const restore::Point& point,
                                           restore::ImageTarget& target) override {
    return run(restore_image("id:" + volume_id, point, target));
  }

  Reply view(const std::string&, const restore::Point&) override {
    return cdp::make_error(EPERM,
                           "`view` needs the daemon, which serves the device: with --vault, "
                           "`restore` writes an image");
  }
  Reply clone(const std::string&, const restore::Point&, const std::string&) override {
    return refused("clone");
  }
  Reply clones() override {
    return cdp::make_error(EPERM, "clones are a daemon's: name it with --server, not a vault");
  }
  Reply remove_clone(const std::string&) override { return refused("clone remove"); }
  Reply recover(const std::string&, const restore::Point&, const std::string&,
                const std::string&) override {
    return refused("recover");
  }
  Reply roll_back(const Rollback&) override { return refused("rollback"); }

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
  Reply test_alert() override {
    return cdp::make_error(EPERM,
                           "`alert test` asks the daemon to tell its webhook: name it with "
                           "--server, not a vault");
  }

 private:
  static cdp::Error has_no_jobs() {
    return cdp::make_error(EPERM, "jobs are a daemon's: name it with --server, not a vault");
  }
  static cdp::Error refused(std::string_view verb) {
    return cdp::make_error(EPERM,
                           "`{}` changes a vault, and --vault only reads one: ask the daemon that "
                           "serves it, with --server",
                           verb);
  }

  Task<Result<std::vector<std::string>>> restore_image(std::string volume, restore::Point point,
                                                       restore::ImageTarget& target) {
    Result<std::unique_ptr<restore::ImageSource>> source =
        co_await queries_->image(zone_, std::move(volume), std::move(point));
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
  std::unique_ptr<Source> source_;
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
