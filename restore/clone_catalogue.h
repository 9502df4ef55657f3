// SPDX-License-Identifier: Apache-2.0
//
// CloneCatalogue: which clones there are. One small file, written anew at every change so that a
// crash leaves the old list or the new one (Directory::write_small). It names what the clones'
// files belong to; files that it does not name are leftovers and may be removed.
//
// The file is text, a clone a line, and ends with its own checksum:
//
//   hindsight-clones 1
//   clone UUID VOLUME LSN SIZE CREATED NAME      (sizes in bytes, CREATED in ns since 1970 UTC)
//   checksum XXH3-64 of everything before this line, 16 hexadecimal digits
//
// One scheduler's thread; one change at a time. `directory` must outlive it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/disk.h"
#include "cdp/io/task.h"
#include "journal/records.h"
#include "journal/uuid.h"

namespace restore {

struct CloneEntry {
  std::string name{};  // as of a volume
  journal::Uuid uuid{};
  journal::VolumeId volume{};
  journal::Lsn lsn{};
  std::uint64_t size_bytes = 0;
  journal::Nanos created{};  // UTC
  bool operator==(const CloneEntry&) const = default;
};

std::string encode_clones(const std::vector<CloneEntry>& clones);
// EIO, with what is wrong, for anything that encode_clones does not write.
cdp::Result<std::vector<CloneEntry>> decode_clones(std::string_view text);

class CloneCatalogue {
 public:
  static constexpr char kFileName[] = "clones";

  // An absent file is an empty list; one that is damaged is an error.
  static cdp::Task<cdp::Result<CloneCatalogue>> open(cdp::Directory& directory);

  const std::vector<CloneEntry>& clones() const { return clones_; }
  const CloneEntry* find(std::string_view name) const;

  // Durable when it succeeds; unchanged when it fails. EEXIST for a name or uuid that is taken.
  cdp::Task<cdp::Status> add(CloneEntry entry);
  // ENOENT where there is none. Remove the clone's files after it, not before.
  cdp::Task<cdp::Status> remove(std::string name);

 private:
  explicit CloneCatalogue(cdp::Directory& directory) : directory_(&directory) {}
  cdp::Task<cdp::Status> store(std::vector<CloneEntry> clones);

  cdp::Directory* directory_;
  std::vector<CloneEntry> clones_;
};

}  // namespace restore
