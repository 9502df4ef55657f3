// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/access/password_hasher.h"

#include <sodium.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cdp/base/check.h"
#include "cdp/base/utf8.h"

namespace tools {
namespace {

using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

constexpr unsigned long long kPasses = 3;
constexpr std::size_t kMemoryBytes = 64u << 20;
constexpr std::size_t kUnderWayMax = 16;
constexpr std::size_t kPasswordBytesMin = 12;
constexpr std::size_t kPasswordBytesMax = 1024;
constexpr int kNice = 10;

std::string argon2id(const std::string& password) {
  char verifier[crypto_pwhash_STRBYTES];
  const int failed =
      crypto_pwhash_str(verifier, password.data(), password.size(), kPasses, kMemoryBytes);
  return failed != 0 ? std::string{} : std::string{verifier};
}

}  // namespace

Status check_new_password(const std::string& password, const std::string& user) {
  if (password.size() < kPasswordBytesMin || password.size() > kPasswordBytesMax) {
    return make_error(EINVAL, "a password has {} to {} bytes", kPasswordBytesMin,
                      kPasswordBytesMax);
  }
  if (!cdp::is_utf8(password) || password.find('\0') != std::string::npos) {
    return make_error(EINVAL, "a password is UTF-8 without NUL");
  }
  if (!user.empty() && password.find(user) != std::string::npos) {
    return make_error(EINVAL, "a password must not contain the user's name");
  }
  if (password.find_first_not_of(password.front()) == std::string::npos) {
    return make_error(EINVAL, "a password must not be one letter again and again");
  }
  return {};
}

PasswordHasher::PasswordHasher(cdp::Reactor& reactor) : reactor_(reactor), done_(reactor) {
  CHECK(sodium_init() >= 0);
  thread_.add([] { (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice); });
}

PasswordHasher::~PasswordHasher() { CHECK(under_way_ == 0); }

Task<Status> PasswordHasher::run(std::function<void()> work) {
  if (under_way_ == kUnderWayMax) {
    co_return make_error(EDQUOT, "too many are signing in at this moment: try again soon");
  }
  ++under_way_;
  bool is_done = false;
  thread_.add([this, &is_done, work = std::move(work)] {
    work();
    reactor_.post_from_any_thread([this, &is_done] {
      is_done = true;
      done_.notify_all();
    });
  });
  while (!is_done) co_await done_.wait();
  --under_way_;
  co_return Status{};
}

Task<Result<std::string>> PasswordHasher::hash(std::string password) {
  std::string verifier;
  std::function<void()> work = [&] { verifier = argon2id(password); };
  Status ran = co_await run(std::move(work));
  sodium_memzero(password.data(), password.size());
  if (!ran) co_return std::move(ran).error();
  if (verifier.empty()) co_return make_error(ENOMEM, "hashing a password wants 64 MiB of memory");
  co_return verifier;
}

Task<Result<bool>> PasswordHasher::fits(std::string verifier, std::string password) {
  bool does_fit = false;
  std::function<void()> work = [&] {
    if (verifier.empty())
      (void)argon2id(password);
    else
      does_fit = crypto_pwhash_str_verify(verifier.c_str(), password.data(), password.size()) == 0;
  };
  Status ran = co_await run(std::move(work));
  sodium_memzero(password.data(), password.size());
  if (!ran) co_return std::move(ran).error();
  co_return does_fit;
}

}  // namespace tools
