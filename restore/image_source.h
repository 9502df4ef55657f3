// SPDX-License-Identifier: Apache-2.0
//
// ImageSource: a volume at a point, ready to be exported. It bundles what that needs (the time
// index up to there, the journal's blocks, the resolved point), so that the daemon and the command
// line do the same.
//
// One scheduler's thread. What the parts refer to must outlive it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cdp/io/scheduler.h"
#include "restore/history.h"
#include "restore/image.h"
#include "restore/point_reader.h"

namespace restore {

class ImageSource {
 public:
  // `visible` is the volume at the point (journal::visible_at); `damage` are sentences about
  // history that could not be read, whose changes the index therefore lacks. Counts what there is
  // to do.
  static Task<Result<std::unique_ptr<ImageSource>>> open(PointParts parts,
                                                         journal::Visibility visible,
                                                         ResolvedPoint point,
                                                         std::vector<std::string> damage = {});

  const ResolvedPoint& point() const { return point_; }
  std::uint64_t size_bytes() const { return point_.volume.size_bytes; }
  // How many bytes of it were written and not zeroed since.
  std::uint64_t data_bytes() const { return data_bytes_; }
  // Those of the point, and damage.
  std::vector<Notice> notices() const;

  // All extents of the image.
  Task<Status> run(ExtentConsumer& consumer, ExportOptions options);

 private:
  ImageSource(PointParts parts, journal::Visibility visible, ResolvedPoint point,
              std::vector<std::string> damage);
  ExportedRange range() const;

  const PointParts parts_;
  const journal::Visibility visible_;
  const ResolvedPoint point_;
  const std::vector<std::string> damage_;
  JournalRuns runs_;
  std::uint64_t data_bytes_ = 0;
};

// Exports to a target, durable when it succeeds. An error tells what is left behind, if anything.
Task<Status> write_image(cdp::Scheduler& scheduler, ImageSource& source, ImageTarget& target,
                         ExportOptions options);

}  // namespace restore
