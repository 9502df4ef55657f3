// SPDX-License-Identifier: Apache-2.0
#include "tools/api/queries.h"

#include <utility>

#include "tools/api/documents.h"

namespace tools::api {

using cdp::Result;
using cdp::Status;
using cdp::Task;
using restore::HistoryOptions;

Task<Result<VaultQueries::Opened>> VaultQueries::open(HistoryOptions options) {
  Opened opened;
  Result<std::unique_ptr<journal::VaultReader>> reader =
      co_await journal::VaultReader::open(scheduler_, segments_, vault_);
  if (!reader.ok()) co_return std::move(reader).error();
  opened.reader = std::move(reader).value();
  Result<std::unique_ptr<restore::History>> history =
      co_await restore::History::open(*opened.reader, std::move(options));
  if (!history.ok()) co_return std::move(history).error();
  opened.history = std::move(history).value();
  co_return std::move(opened);
}

Task<Result<VaultQueries::Document>> VaultQueries::volumes(HistoryOptions options,
                                                           bool with_removed) {
  const Result<Opened> opened = co_await open(std::move(options));
  if (!opened.ok()) co_return opened.error();
  const restore::History& history = *opened->history;
  co_return volume_list_document(history.newest(), with_removed, history.zone());
}

Task<Result<VaultQueries::Document>> VaultQueries::volume(HistoryOptions options,
                                                          std::string volume) {
  const Result<Opened> opened = co_await open(std::move(options));
  if (!opened.ok()) co_return opened.error();
  const restore::History& history = *opened->history;
  const Result<const journal::VolumeState*> found = history.find_volume(volume);
  if (!found.ok()) co_return found.error();
  co_return volume_document(**found, history.zone());
}

Task<Result<VaultQueries::Document>> VaultQueries::points(HistoryOptions options,
                                                          std::string volume,
                                                          std::optional<restore::Point> point) {
  const Result<Opened> opened = co_await open(std::move(options));
  if (!opened.ok()) co_return opened.error();
  restore::History& history = *opened->history;
  if (!point) {
    const Result<const journal::VolumeState*> found = history.find_volume(volume);
    if (!found.ok()) co_return found.error();
    co_return points_document(history, **found);
  }
  const Result<restore::ResolvedPoint> resolved =
      co_await history.resolve(std::move(volume), std::move(*point));
  if (!resolved.ok()) co_return resolved.error();
  co_return point_document(*resolved, history.newest(), history.zone());
}

Task<Result<VaultQueries::Document>> VaultQueries::marks(HistoryOptions options) {
  const Result<Opened> opened = co_await open(std::move(options));
  if (!opened.ok()) co_return opened.error();
  co_return marks_document(opened->history->newest(), opened->history->zone());
}

Task<Result<VaultQueries::Document>> VaultQueries::status(HistoryOptions options) {
  const Result<Opened> opened = co_await open(std::move(options));
  if (!opened.ok()) co_return opened.error();
  co_return status_document(*opened->history);
}

Task<Result<VaultQueries::Document>> VaultQueries::verify(journal::VerifyOptions options) {
  const bool deep = options.deep;
  const Result<journal::VerifyReport> report =
      co_await journal::verify(scheduler_, segments_, vault_, std::move(options));
  if (!report.ok()) co_return report.error();
  co_return verify_document(*report, deep);
}

Task<Result<std::unique_ptr<restore::ImageSource>>> VaultQueries::image(HistoryOptions options,
                                                                        std::string volume,
                                                                        restore::Point point) {
  return restore::ImageSource::open(scheduler_, segments_, vault_, std::move(options),
                                    std::move(volume), std::move(point));
}

}  // namespace tools::api
