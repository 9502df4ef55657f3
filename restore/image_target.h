// SPDX-License-Identifier: Apache-2.0
//
// ImageTarget: where the image of a volume goes. A file (written under a temporary name, sparse,
// and renamed when it is whole and durable, so that a failure leaves nothing), a block device, or
// a pipe. Plain system calls that may block.
//
// Order of calls: start, then data and zero, which together cover every byte once, then finish. An
// error ends it: destroy the target, which removes what it had begun. data and zero may be called
// from several threads at once unless wants_offset_order().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cdp/base/result.h"

namespace restore {

struct ImageSize {
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> data_bytes;  // how many are not zero, where that is known
};

class ImageTarget {
 public:
  virtual ~ImageTarget() = default;

  // Checks that the target can take the image.
  virtual cdp::Status start(const ImageSize& size) = 0;
  virtual cdp::Status data(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual cdp::Status zero(std::uint64_t offset, std::uint64_t length) = 0;
  // Makes the image durable and gives it its name.
  virtual cdp::Status finish() = 0;

  // True where extents must come in the order of their offsets.
  virtual bool wants_offset_order() const { return false; }
  // After a failure: what is left behind, as the end of a sentence; empty where nothing is.
  virtual std::string left_behind() const { return {}; }
};

enum class ImageFormat { kRaw, kQcow2 };

struct TargetOptions {
  ImageFormat format = ImageFormat::kRaw;
  bool force = false;  // replace a file, overwrite a device that is not blank
};

// "-" is standard output. Refuses at once what can be refused without knowing the image: a file
// that exists, a device in use or not blank, a terminal, qcow2 without qemu-img.
cdp::Result<std::unique_ptr<ImageTarget>> open_target(const std::string& path,
                                                      const TargetOptions& options);

// A raw image as a new file; refuses an existing one unless `force`.
cdp::Result<std::unique_ptr<ImageTarget>> open_file_target(const std::string& path, bool force);
// Converts with qemu-img once the raw image is there: needs room for both.
cdp::Result<std::unique_ptr<ImageTarget>> open_qcow2_target(const std::string& path, bool force);
cdp::Result<std::unique_ptr<ImageTarget>> open_device_target(const std::string& path, bool force);
// In order, zeroes included, onto an open descriptor that stays the caller's.
std::unique_ptr<ImageTarget> make_pipe_target(int fd);

}  // namespace restore
