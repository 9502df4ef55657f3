// SPDX-License-Identifier: Apache-2.0
//
// PasswordHasher: argon2id (RFC 9106, by libsodium) off the reactor. It takes a tenth of a second
// and 64 MiB each time, which is its purpose; so one thread of its own does one after the other,
// yielding to all else, and who would have to wait behind many is refused. The threads that
// compress what clients write never wait for it.
//
// On the reactor's thread. Nothing may be under way when it is destroyed.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "cdp/base/result.h"
#include "cdp/io/reactor.h"
#include "cdp/io/signal.h"
#include "cdp/io/task.h"
#include "cdp/io/worker_pool.h"

namespace tools {

// EINVAL says why nobody should have this password.
cdp::Status check_new_password(const std::string& password, const std::string& user);

class PasswordHasher {
 public:
  explicit PasswordHasher(cdp::Reactor& reactor);
  ~PasswordHasher();

  // A verifier, as it is kept: with its salt and parameters. EDQUOT where too many wait.
  cdp::Task<cdp::Result<std::string>> hash(std::string password);
  // Takes as long for an empty verifier, which no password fits.
  cdp::Task<cdp::Result<bool>> fits(std::string verifier, std::string password);

 private:
  cdp::Task<cdp::Status> run(std::function<void()> work);

  cdp::Reactor& reactor_;
  cdp::Signal done_;
  std::size_t under_way_ = 0;
  cdp::WorkerPool thread_{1};
};

}  // namespace tools
