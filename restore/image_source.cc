// SPDX-License-Identifier: Apache-2.0
#include "restore/image_source.h"

#include <utility>

namespace restore {

ImageSource::ImageSource(cdp::Scheduler& scheduler, cdp::Directory& segments, journal::Vault vault,
                         std::unique_ptr<journal::VaultReader> reader, ResolvedPoint point)
    : reader_(std::move(reader)),
      point_(std::move(point)),
      blocks_(scheduler, segments, std::move(vault)),
      runs_(blocks_),
      export_(scheduler, *reader_, runs_,
              {point_.volume.id, point_.at.lsn, point_.volume.size_bytes}) {}

Task<Result<std::unique_ptr<ImageSource>>> ImageSource::open(cdp::Scheduler& scheduler,
                                                             cdp::Directory& segments,
                                                             journal::Vault vault,
                                                             HistoryOptions options,
                                                             std::string volume, Point point) {
  Result<std::unique_ptr<journal::VaultReader>> reader =
      co_await journal::VaultReader::open(scheduler, segments, vault);
  if (!reader.ok()) co_return std::move(reader).error();
  Result<std::unique_ptr<History>> history = co_await History::open(**reader, std::move(options));
  if (!history.ok()) co_return std::move(history).error();
  Result<ResolvedPoint> resolved =
      co_await (*history)->resolve(std::move(volume), std::move(point));
  if (!resolved.ok()) co_return std::move(resolved).error();
  std::unique_ptr<ImageSource> source{new ImageSource{scheduler, segments, std::move(vault),
                                                      std::move(reader).value(),
                                                      std::move(resolved).value()}};
  Status prepared = co_await source->export_.prepare();
  if (!prepared.ok()) co_return std::move(prepared).error();
  co_return std::move(source);
}

std::vector<Notice> ImageSource::notices() const {
  std::vector<Notice> notices = point_.notices;
  for (const std::string& damage : export_.damage()) notices.push_back({"damage", damage});
  return notices;
}

Task<Status> write_image(cdp::Scheduler& scheduler, ImageSource& source, ImageTarget& target,
                         ExportOptions options) {
  Status status = target.start({source.size_bytes(), source.data_bytes()});
  if (status.ok()) {
    TargetConsumer consumer{scheduler, target};
    status = co_await source.run(consumer, std::move(options));
  }
  if (status.ok()) co_await on_worker(scheduler, [&] { status = target.finish(); });
  if (status.ok()) co_return Status{};
  Error error = std::move(status).error();
  const std::string left = target.left_behind();
  if (!left.empty()) error.message += "; " + left;
  co_return std::move(error);
}

}  // namespace restore
