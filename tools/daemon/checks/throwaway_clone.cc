// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/checks/throwaway_clone.h"

#include <fmt/format.h>

#include <utility>

#include "journal/uuid.h"
#include "restore/view.h"

namespace tools {

using cdp::Result;
using cdp::Status;
using cdp::Task;

namespace {

constexpr std::size_t kViewPoolBytes = 16u << 20;
constexpr std::size_t kWritePoolBytes = 4u << 20;
constexpr char kData[] = ".data";
constexpr char kMap[] = ".map";

// A file that loses its name when it is open.
Task<Result<std::unique_ptr<cdp::Disk>>> nameless_file(Host& host, std::string path,
                                                       std::uint64_t bytes) {
  auto file = co_await host.create_backing(path, bytes);
  host.remove_backing(path);
  co_return file;
}

}  // namespace

ThrowawayClone::ThrowawayClone(cdp::Scheduler& scheduler)
    : view_pages_(scheduler, kViewPoolBytes / cdp::kBlockBytes),
      write_pages_(scheduler, kWritePoolBytes / cdp::kBlockBytes),
      reading_ahead_(scheduler) {}

Task<Status> ThrowawayClone::prepare(Host& host, std::string directory) {
  const Host::DirectoryUse use{.create = true};
  auto opened = co_await host.open_directory(directory, use);
  if (!opened) co_return std::move(opened).error();
  Result<std::vector<std::string>> names = co_await (*opened)->list();
  if (!names) co_return std::move(names).error();
  for (const std::string& name : *names) {
    if (!name.ends_with(kData) && !name.ends_with(kMap)) continue;
    Status removed = co_await (*opened)->remove(name);
    if (!removed) co_return removed;
  }
  co_return Status{};
}

Task<Result<std::unique_ptr<ThrowawayClone>>> ThrowawayClone::open(
    cdp::Scheduler& scheduler, Host& host, std::string directory,
    std::shared_ptr<const restore::PointReader> point) {
  const std::uint64_t size_bytes = point->size_bytes();
  const std::string name = point->name();
  const std::string path = fmt::format("{}/{}", directory, journal::Uuid::random().to_string());
  auto data = co_await nameless_file(host, path + kData, restore::Clone::data_bytes(size_bytes));
  if (!data) co_return std::move(data).error();
  auto map = co_await nameless_file(host, path + kMap, restore::Clone::map_bytes(size_bytes));
  if (!map) co_return std::move(map).error();
  std::unique_ptr<ThrowawayClone> made{new ThrowawayClone{scheduler}};
  auto view = std::make_shared<restore::View>(
      std::move(point), restore::ViewParts{made->view_pages_, made->reading_ahead_});
  auto clone = restore::Clone::open(
      {scheduler, std::move(view), *std::move(data), *std::move(map), made->write_pages_}, name);
  if (!clone) co_return std::move(clone).error();
  made->clone_ = *std::move(clone);
  co_return made;
}

Task<void> ThrowawayClone::close() {
  // What it could not flush is thrown away in any case.
  (void)co_await clone_->close();
  clone_.reset();
  co_await reading_ahead_.join();
}

}  // namespace tools
