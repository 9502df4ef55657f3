// SPDX-License-Identifier: Apache-2.0
//
// Backend: who answers a verb, a daemon or a vault read directly. Blocking, for the command's one
// thread. Documents are those of tools/api/documents.h.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdp/base/result.h"
#include "restore/image_target.h"
#include "restore/point.h"
#include "restore/time_zone.h"
#include "tools/api/client.h"

namespace tools::cli {

// Bytes done, bytes in all.
using ProgressFunction = std::function<void(std::uint64_t, std::uint64_t)>;

class Backend {
 public:
  using Document = boost::json::object;
  using Reply = cdp::Result<Document>;
  virtual ~Backend() = default;

  virtual Reply volumes(bool with_removed) = 0;
  virtual Reply volume(const std::string& name) = 0;
  virtual Reply points(const std::string& name, std::optional<restore::Point> point) = 0;
  // Without them, as the API has it. `step` is in seconds.
  struct TimelineWindow {
    std::optional<restore::Point> since{};
    std::optional<restore::Point> until{};
    std::optional<std::uint64_t> step{};
  };
  virtual Reply timeline(const std::string& name, const TimelineWindow& window) = 0;
  virtual Reply status() = 0;
  // The newest jobs first; those before a number, where one is given.
  virtual Reply jobs(std::optional<std::uint64_t> before, std::optional<std::uint64_t> limit) = 0;
  virtual Reply job(std::uint64_t id) = 0;
  virtual Reply cancel_job(std::uint64_t id) = 0;
  // The newest entries first; those before an LSN, where one is given.
  struct AuditWindow {
    std::optional<std::uint64_t> before{};
    std::optional<std::uint64_t> limit{};  // the daemon's own without one
  };
  virtual Reply audit(const AuditWindow& window) = 0;
  virtual Reply verify(bool deep, const ProgressFunction& progress) = 0;
  // What the check of a point came to; a volume of `name` is looked for there.
  virtual Reply check(const std::string& name, const restore::Point& point,
                      const ProgressFunction& progress) = 0;
  virtual Reply diff(const std::string& name, restore::Point from, restore::Point to) = 0;
  // The image of the volume with that id, finished; gives sentences about something to know.
  virtual cdp::Result<std::vector<std::string>> restore(const std::string& volume_id,
                                                        const restore::Point& point,
                                                        restore::ImageTarget& target) = 0;

  virtual Reply view(const std::string& name, const restore::Point& point) = 0;
  virtual Reply clone(const std::string& name, const restore::Point& point,
                      const std::string& new_name) = 0;
  virtual Reply clones() = 0;
  virtual Reply remove_clone(const std::string& name) = 0;
  virtual Reply recover(const std::string& name, const restore::Point& point,
                        const std::string& new_name, const std::string& backing) = 0;
  struct Rollback {
    std::vector<std::string> names;
    restore::Point point;
    bool dry_run = false;
    bool disconnect = false;
  };
  virtual Reply roll_back(const Rollback& rollback) = 0;

  virtual Reply create_volume(const std::string& name, std::uint64_t size_bytes,
                              const std::string& backing) = 0;
  virtual Reply resize_volume(const std::string& name, std::uint64_t size_bytes) = 0;
  virtual Reply rename_volume(const std::string& name, const std::string& new_name) = 0;
  virtual Reply remove_volume(const std::string& name) = 0;
  virtual Reply resume_volume(const std::string& name) = 0;
  // An empty name: of every volume.
  virtual Reply mark(const std::string& name, const std::string& label) = 0;
  // Has the webhook told of a test.
  virtual Reply test_alert() = 0;
};

std::unique_ptr<Backend> make_daemon_backend(api::Client client, const restore::TimeZone& zone);
// Reads the vault in the directory; needs no lock and no daemon. Throws where io_uring is missing.
cdp::Result<std::unique_ptr<Backend>> make_vault_backend(const std::string& directory,
                                                         const restore::TimeZone& zone);

}  // namespace tools::cli
