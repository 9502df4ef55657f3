// SPDX-License-Identifier: Apache-2.0
//
// Merging adjacent runs into one that says the same: every version stays, since any of them may be
// visible from some point. README.md, "Merging".
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "journal/index/run.h"

namespace journal::index {

// Stores the merged run as run_name(number) in `directory`; durable when it completes. `runs` are
// oldest first and meet each other (CHECKed: rule 9). Memory: some 1 MiB for each run, and the
// filter of the new one, 10 bits a key. All that computes is done on a worker.
//
// Errors: EIO where a run is damaged, which knows it then; ENOSPC, EEXIST. After one the file may be there, in any
// state: remove it. Everything passed in must outlive the task.
Task<Status> merge_runs(cdp::Scheduler& scheduler, cdp::Directory& directory, const Vault& vault,
                        std::span<const std::shared_ptr<const Run>> runs, std::uint32_t number);

}  // namespace journal::index
