// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_host.h"

#include <utility>

namespace sim {

using cdp::Disk;
using cdp::Result;
using cdp::Status;
using cdp::Task;

namespace {

struct Place {
  std::string directory;
  std::string name;
};

Place place_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

Task<Result<std::unique_ptr<cdp::Directory>>> SimHost::open_directory(std::string path,
                                                                      DirectoryUse) {
  co_return store_->directory(std::move(path));
}

Task<Result<std::unique_ptr<Disk>>> SimHost::create_backing(std::string path,
                                                            std::uint64_t volume_bytes) {
  const Place place = place_of(path);
  const std::unique_ptr<cdp::Directory> directory = store_->directory(place.directory);
  Result<std::unique_ptr<Disk>> disk =
      co_await directory->create(place.name, tools::backing_bytes(volume_bytes));
  if (!disk.ok()) co_return std::move(disk).error();
  Status synced = co_await directory->sync();
  if (!synced.ok()) co_return std::move(synced).error();
  co_return disk;
}

Task<Result<std::unique_ptr<Disk>>> SimHost::open_backing(std::string path,
                                                          std::uint64_t volume_bytes) {
  const Place place = place_of(path);
  const std::unique_ptr<cdp::Directory> directory = store_->directory(place.directory);
  Result<std::unique_ptr<Disk>> disk =
      co_await directory->open(place.name, cdp::OpenMode::kReadWrite);
  if (!disk.ok()) co_return std::move(disk).error();
  if ((*disk)->size_bytes() < tools::backing_bytes(volume_bytes)) {
    co_return cdp::make_error(EINVAL, "the backing store {} is too small (simulated)", path);
  }
  co_return disk;
}

// What an operator hands over is of the right size and blank, unless it exists already.
Task<Result<std::unique_ptr<Disk>>> SimHost::take_blank_backing(std::string path,
                                                                std::uint64_t volume_bytes,
                                                                tools::BackingPlaces) {
  if (store_->exists(path)) co_return cdp::make_error(EEXIST, "{} holds data (simulated)", path);
  Result<std::unique_ptr<Disk>> disk = co_await create_backing(std::move(path), volume_bytes);
  co_return disk;
}

}  // namespace sim
