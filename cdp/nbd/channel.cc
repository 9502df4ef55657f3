// SPDX-License-Identifier: Apache-2.0
#include "cdp/nbd/channel.h"

#include <utility>

#include "cdp/base/check.h"

namespace cdp::nbd {

void Channel::secure(std::unique_ptr<Stream> stream) {
  CHECK(!is_secure() && stream != nullptr);
  secure_ = std::move(stream);
  current_ = secure_.get();
}

}  // namespace cdp::nbd
