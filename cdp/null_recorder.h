// SPDX-License-Identifier: Apache-2.0
//
// NullRecorder: a Recorder that records nothing and calls everything durable at once. It is the
// engine's own yardstick (what the engine costs without a journal), and the recorder of volumes
// that are not protected.
#pragma once

#include "cdp/recorder.h"

namespace cdp {

class NullRecorder final : public Recorder {
 public:
  explicit NullRecorder(Scheduler& scheduler) : progress_(scheduler) {}

  Task<Status> admit(std::uint32_t blocks) override;
  void cancel_admission(std::uint32_t) override {}
  void record_write(VolumeId volume, Stamp stamp, std::uint64_t first_block, const PageList& pages,
                    const PageList& previous) override;
  void record_zero(VolumeId volume, Stamp stamp, ZeroKind kind, std::uint64_t first_block,
                   std::uint64_t count) override;
  void record_checkpoint(VolumeId volume, Stamp stamp, Lsn covered,
                         std::optional<std::uint64_t> hydrated_upto) override;
  Task<Status> flush(Lsn lsn) override;
  Lsn durable_lsn() const override { return durable_; }
  Signal& progress() override { return progress_; }

 private:
  void take(Stamp stamp);

  Lsn durable_;
  Signal progress_;
};

}  // namespace cdp
