// SPDX-License-Identifier: Apache-2.0
//
// VaultQueries: the reading verbs, answered as the documents of documents.h. `hindsight --vault` is
// made of them; the daemon uses those that need history (its lists of volumes and marks come from
// its journal's own state).
//
// Queries may run side by side, and see what was durable when they began; where a point may lie
// behind that, what was answered by then is made durable first. One scheduler's thread; the source
// must outlive the tasks.
#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "journal/block_reader.h"
#include "journal/index/time_index.h"
#include "journal/vault.h"
#include "journal/verify.h"
#include "restore/difference.h"
#include "restore/history.h"
#include "restore/image_source.h"
#include "tools/api/documents.h"
#include "tools/api/timeline.h"
#include "tools/api/vault_usage.h"

namespace tools::api {

// Where answers come from: a running appliance, or a vault alone.
class VaultSource {
 public:
  virtual ~VaultSource() = default;
  virtual cdp::Scheduler& scheduler() = 0;
  virtual cdp::Directory& segments() = 0;
  virtual const journal::Vault& vault() = 0;
  virtual std::shared_ptr<journal::BlockReader> blocks() = 0;
  // The end of history. A running appliance makes everything durable first that was answered, so
  // that nothing is missing up to the moment of the question.
  struct Newest {
    journal::JournalState state;  // an empty one where nothing was recorded yet
    std::optional<cdp::Nanos> complete_until;
    std::vector<journal::Damage> lost{};  // what could not be read, and the state lacks
    bool is_all = true;                   // of what was answered; or the last moments are missing
  };
  virtual cdp::Task<cdp::Result<Newest>> newest() = 0;
  // What is durable by now, without a wait for the disk.
  virtual cdp::Task<cdp::Result<Newest>> durable() { return newest(); }
  // Covers what `newest` or `durable` gave before. Lives as long as the source.
  virtual cdp::Task<cdp::Result<journal::index::TimeIndex*>> index() = 0;
  // An appliance's is a few seconds old, and waits for no disk.
  virtual cdp::Task<cdp::Result<VaultUsage>> usage() { return usage_reader_.read(segments()); }
  // Whether an appliance has recorded what happened up to now but for the last seconds; else the
  // changes themselves are looked at.
  virtual bool records_activity() const { return false; }

 private:
  UsageReader usage_reader_;
};

class VaultQueries {
 public:
  using Document = boost::json::object;

  explicit VaultQueries(VaultSource& source) : source_(source) {}

  cdp::Task<cdp::Result<Document>> volumes(restore::TimeZone zone, bool with_removed);
  // `volume` is a name or id:UUID, here and below.
  cdp::Task<cdp::Result<Document>> volume(restore::TimeZone zone, std::string volume);
  // One point resolved, or without one the ends of history and its marks.
  cdp::Task<cdp::Result<Document>> points(restore::TimeZone zone, std::string volume,
                                          std::optional<restore::Point> point);
  // What happened, and when.
  cdp::Task<cdp::Result<Document>> timeline(restore::TimeZone zone, std::string volume,
                                            TimelineWindow window);
  cdp::Task<cdp::Result<Document>> status(restore::TimeZone zone);
  // A page of who did what, newest first.
  cdp::Task<cdp::Result<Document>> audit(restore::TimeZone zone, AuditWindow window);
  // A page of the vault's segments, newest first.
  cdp::Task<cdp::Result<Document>> segments(restore::TimeZone zone, SegmentWindow window);
  cdp::Task<cdp::Result<Document>> verify(journal::VerifyOptions options);
  static constexpr std::size_t kDiffExtentsMax = 100'000;
  cdp::Task<cdp::Result<Document>> diff(restore::TimeZone zone, std::string volume,
                                        restore::Point from, restore::Point to,
                                        std::size_t extents_max = kDiffExtentsMax);
  // For restore: see image_stream.h for the wire, restore::write_image for a target.
  cdp::Task<cdp::Result<std::unique_ptr<restore::ImageSource>>> image(restore::TimeZone zone,
                                                                      std::string volume,
                                                                      restore::Point point);

  // History as of now. `zone` is for the times in sentences.
  cdp::Task<cdp::Result<restore::History>> history(restore::TimeZone zone);
  // History as far as it is durable, where that decides what the points mean; else as of now.
  cdp::Task<cdp::Result<restore::History>> history_for(restore::TimeZone zone,
                                                       std::vector<restore::Point> points);
  // A volume at a point, ready to be read.
  struct PointOfVolume {
    restore::ResolvedPoint point;
    journal::Visibility visible;
    restore::PointParts parts;
  };
  cdp::Task<cdp::Result<PointOfVolume>> open_point(const restore::History& history,
                                                   std::string volume, restore::Point point);
  // Sentences about what could not be read of the history that the point is made of: where that
  // changed a block, an older content would be taken for it.
  cdp::Task<cdp::Result<std::vector<std::string>>> damage_of(const restore::History& history,
                                                             const PointOfVolume& at);
  // What a rollback from the newest state to the point would change, without the extents.
  cdp::Task<cdp::Result<restore::Difference>> difference_from_now(
      const journal::JournalState& newest, restore::ResolvedPoint point);

 private:
  // `map` covers both.
  cdp::Task<cdp::Result<restore::Difference>> difference_of(const journal::index::BlockMap& map,
                                                            restore::VolumeAtPoint from,
                                                            restore::VolumeAtPoint to,
                                                            std::size_t extents_max);
  // With a notice of each part of history that the newest state lacks.
  static Document with_lost(Document document, const restore::History& history);

  VaultSource& source_;
};

}  // namespace tools::api
