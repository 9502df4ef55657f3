// SPDX-License-Identifier: Apache-2.0
//
// RunHistory: what a run was made of, read from the segments once more, part by part. It gives what
// a damaged run had or an error, never less: a frame that the run knew and that has become
// unreadable since would leave blocks as they were before it.
//
// One scheduler's thread; one call at a time. What is passed in must outlive it.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "journal/index/collector.h"
#include "journal/index/run.h"
#include "journal/vault_reader.h"

namespace journal::index {

class RunHistory {
 public:
  // Of the run, whose header is all that is relied upon: where its frame table can still be read,
  // it says where to begin, and what of the segments was damaged when the run was made.
  static Task<Result<std::unique_ptr<RunHistory>>> open(cdp::Scheduler& scheduler,
                                                        cdp::Directory& segments,
                                                        const Vault& vault, const Run& run);

  bool is_at_end() const { return upto_ == covers_.upto; }
  // Up to here it was given.
  Lsn upto() const { return upto_; }
  // What follows, of so many entries and those of one frame at most. EIO where the segments do not
  // have it any more.
  Task<Result<Collector>> next(std::size_t entries_max);

 private:
  explicit RunHistory(const RunHeader& header)
      : covers_{header.after, header.upto}, entries_(header.entries.rows), upto_(header.after) {}

  const LsnInterval covers_;
  const std::uint64_t entries_;  // of the run
  std::unique_ptr<VaultReader> reader_;
  std::vector<FrameRow> known_damage_;
  Lsn upto_;
  std::uint64_t entries_given_ = 0;
};

}  // namespace journal::index
