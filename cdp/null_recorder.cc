// SPDX-License-Identifier: Apache-2.0
#include "cdp/null_recorder.h"

namespace cdp {

void NullRecorder::take(Stamp stamp) {
  CHECK(stamp.lsn > durable_);
  durable_ = stamp.lsn;
  progress_.notify_all();
}

Task<Status> NullRecorder::admit(std::uint32_t) { co_return Status{}; }

void NullRecorder::record_write(VolumeId, Stamp stamp, std::uint64_t, const PageList& pages,
                                const PageList& previous) {
  CHECK(pages.size() == previous.size());
  take(stamp);
}

void NullRecorder::record_zero(VolumeId, Stamp stamp, ZeroKind, std::uint64_t, std::uint64_t) {
  take(stamp);
}

void NullRecorder::record_checkpoint(VolumeId, Stamp stamp, Lsn covered,
                                     std::optional<std::uint64_t>) {
  CHECK(covered < stamp.lsn);
  take(stamp);
}

Task<Status> NullRecorder::flush(Lsn lsn) {
  CHECK(lsn <= durable_);
  co_return Status{};
}

}  // namespace cdp
