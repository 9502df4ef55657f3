// SPDX-License-Identifier: Apache-2.0
//
// A page of the audit: the AUDIT records of a vault (journal/FORMAT.md), newest first. Segments are
// read from the newest backwards until the page is full, so that the newest page costs the same
// however long history is; no more records are held than a page has.
//
// One scheduler's thread; what is given must outlive the task.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "journal/records.h"
#include "journal/vault.h"
#include "journal/vault_reader.h"

namespace tools::api {

struct AuditWindow {
  std::optional<cdp::Lsn> before{};  // records older than this; none: the newest
  std::size_t limit = 1000;          // at least 1
};

struct AuditPage {
  std::vector<journal::AuditRecord> records{};  // newest first
  // There may be older ones: the next page is of those before this.
  std::optional<cdp::Lsn> before{};
  // What could not be read of the LSNs that the page is about: audits may be missing there.
  std::vector<journal::Damage> lost{};
};

cdp::Task<cdp::Result<AuditPage>> read_audit_page(cdp::Scheduler& scheduler,
                                                  cdp::Directory& segments, journal::Vault vault,
                                                  AuditWindow window);

}  // namespace tools::api
