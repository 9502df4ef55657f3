// SPDX-License-Identifier: Apache-2.0
//
// VaultQueries: the reading verbs, answered from a vault's segments alone as the documents of
// documents.h. `hindsight --vault` is made of them; the daemon uses those that need history (its
// lists of volumes and marks come from its journal's own state).
//
// Every query opens a reader of its own, so queries may run side by side, and see what was durable
// when they began. One scheduler's thread; `scheduler` and `segments` must outlive the tasks.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "journal/vault.h"
#include "journal/verify.h"
#include "restore/history.h"
#include "restore/image_source.h"

namespace tools::api {

class VaultQueries {
 public:
  using Document = boost::json::object;

  VaultQueries(cdp::Scheduler& scheduler, cdp::Directory& segments, journal::Vault vault)
      : scheduler_(scheduler), segments_(segments), vault_(std::move(vault)) {}

  cdp::Task<cdp::Result<Document>> volumes(restore::HistoryOptions options, bool with_removed);
  // `volume` is a name or id:UUID, here and below.
  cdp::Task<cdp::Result<Document>> volume(restore::HistoryOptions options, std::string volume);
  // One point resolved, or without one the ends of history and its marks.
  cdp::Task<cdp::Result<Document>> points(restore::HistoryOptions options, std::string volume,
                                          std::optional<restore::Point> point);
  cdp::Task<cdp::Result<Document>> marks(restore::HistoryOptions options);
  cdp::Task<cdp::Result<Document>> status(restore::HistoryOptions options);
  cdp::Task<cdp::Result<Document>> verify(journal::VerifyOptions options);
  // For restore: see image_stream.h for the wire, restore::write_image for a target.
  cdp::Task<cdp::Result<std::unique_ptr<restore::ImageSource>>> image(
      restore::HistoryOptions options, std::string volume, restore::Point point);

 private:
  struct Opened {
    std::unique_ptr<journal::VaultReader> reader;
    std::unique_ptr<restore::History> history;
  };
  cdp::Task<cdp::Result<Opened>> open(restore::HistoryOptions options);

  cdp::Scheduler& scheduler_;
  cdp::Directory& segments_;
  const journal::Vault vault_;
};

}  // namespace tools::api
