// SPDX-License-Identifier: Apache-2.0
#include "restore/image_source.h"

#include <utility>

namespace restore {

ImageSource::ImageSource(PointParts parts, journal::Visibility visible, ResolvedPoint point,
                         std::vector<std::string> damage)
    : parts_(std::move(parts)),
      visible_(std::move(visible)),
      point_(std::move(point)),
      damage_(std::move(damage)),
      runs_(*parts_.runs) {}

ExportedRange ImageSource::range() const {
  return {.visible = visible_, .size_bytes = point_.volume.size_bytes};
}

Task<Result<std::unique_ptr<ImageSource>>> ImageSource::open(PointParts parts,
                                                             journal::Visibility visible,
                                                             ResolvedPoint point,
                                                             std::vector<std::string> damage) {
  std::unique_ptr<ImageSource> source{
      new ImageSource{std::move(parts), std::move(visible), std::move(point), std::move(damage)}};
  Result<std::uint64_t> counted = co_await count_data_bytes(*source->parts_.map, source->range());
  if (!counted.ok()) co_return std::move(counted).error();
  source->data_bytes_ = *counted;
  co_return std::move(source);
}

Task<Status> ImageSource::run(ExtentConsumer& consumer, ExportOptions options) {
  return export_blocks(parts_.scheduler, runs_, *parts_.map, range(), consumer, std::move(options));
}

std::vector<Notice> ImageSource::notices() const {
  std::vector<Notice> notices = point_.notices;
  for (const std::string& damage : damage_) notices.push_back({"damage", damage});
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
