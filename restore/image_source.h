// SPDX-License-Identifier: Apache-2.0
//
// ImageSource: a volume at a point, ready to be exported, straight from a vault's segments. It
// bundles what that needs (a reader, the resolved point, the first map), so that the daemon and
// the command line do the same. Works beside a running daemon, and needs nothing but the vault.
//
// One scheduler's thread. `scheduler` and `segments` must outlive it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "journal/block_reader.h"
#include "journal/vault.h"
#include "journal/vault_reader.h"
#include "restore/history.h"
#include "restore/image.h"

namespace restore {

class ImageSource {
 public:
  // Resolves the point and reads the metadata. Errors as those of History::resolve.
  static Task<Result<std::unique_ptr<ImageSource>>> open(cdp::Scheduler& scheduler,
                                                         cdp::Directory& segments,
                                                         journal::Vault vault,
                                                         HistoryOptions options, std::string volume,
                                                         Point point);

  const ResolvedPoint& point() const { return point_; }
  std::uint64_t size_bytes() const { return point_.volume.size_bytes; }
  // How many bytes are not zero, where that is known before the export.
  std::optional<std::uint64_t> data_bytes() const { return export_.data_bytes(); }
  // Those of the point, and damage met so far.
  std::vector<Notice> notices() const;

  // All extents of the image. Call it once.
  Task<Status> run(ExtentConsumer& consumer, ExportOptions options) {
    return export_.run(consumer, std::move(options));
  }

 private:
  ImageSource(cdp::Scheduler& scheduler, cdp::Directory& segments, journal::Vault vault,
              std::unique_ptr<journal::VaultReader> reader, ResolvedPoint point);

  std::unique_ptr<journal::VaultReader> reader_;
  ResolvedPoint point_;
  journal::BlockReader blocks_;
  JournalRuns runs_;
  ImageExport export_;
};

// Exports to a target, durable when it succeeds. An error tells what is left behind, if anything.
Task<Status> write_image(cdp::Scheduler& scheduler, ImageSource& source, ImageTarget& target,
                         ExportOptions options);

}  // namespace restore
