// SPDX-License-Identifier: Apache-2.0
//
// Events: server-sent events (HTML living standard, "Server-sent events") of what goes on:
// `volume`, the document of GET /api/volumes/{volume}, `status`, that of GET /api/status without
// the volumes, and `job`, that of GET /api/jobs/{job}, each when it has changed, at most once a
// second. A stream begins with all volumes, and then the status. A volume that was removed
// meanwhile is told once more, as one that is.
//
// A document is made and serialised once for all who listen, and none while nobody does. Who reads
// slowly misses what was replaced meanwhile, and gets the newest: nothing is queued for him. Of
// jobs that had ended before anybody listened, the list tells. A stream ends when who asked may not
// see it any more, when he opens too many others, and when the daemon stops.
//
// On the scheduler's thread; what is passed in must outlive the streams' use of it: stop() must
// have returned before any of it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "cdp/base/result.h"
#include "cdp/base/types.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/io/task.h"
#include "tools/daemon/jobs/jobs.h"
#include "tools/daemon/rest/http_message.h"

namespace tools {

class Events {
 public:
  // Each is a connection that never falls quiet: so few that those of one address are never all
  // that there may be (HttpConnections).
  static constexpr std::size_t kStreamsMax = 32;
  static constexpr std::size_t kStreamsOfOneMax = 8;

  struct Status {
    std::string appliance;
    std::map<cdp::VolumeId, std::string> volumes{};
  };
  struct Sources {
    std::function<cdp::Task<cdp::Result<Status>>()> status;
    std::function<std::string(const Job&)> job;
  };
  Events(cdp::Scheduler& scheduler, Jobs& jobs, Sources sources);
  ~Events();

  // A new stream of `who`, for as long as `is_allowed`; where he has kStreamsOfOneMax, the oldest
  // of his ends: what listened there may be gone without a word. ESHUTDOWN where there are too many
  // of others, or it stops.
  cdp::Result<std::shared_ptr<BodySource>> open(std::string who, std::function<bool()> is_allowed);
  // Whether streams were told of it.
  bool has_volume(cdp::VolumeId id) const;
  // Ends every stream.
  cdp::Task<void> stop();

 private:
  class Stream;
  struct Board;  // what the streams show

  cdp::Task<void> publish();
  cdp::Task<void> look();

  cdp::Scheduler& scheduler_;
  Jobs& jobs_;
  const Sources sources_;
  std::shared_ptr<Board> board_;
  // Of the publishing that goes on:
  std::optional<std::uint64_t> jobs_version_;
  std::set<std::uint64_t> ended_before_;  // jobs
  bool publishing_ = false;
  cdp::Signal stop_;
  cdp::TaskGroup running_;
};

}  // namespace tools
