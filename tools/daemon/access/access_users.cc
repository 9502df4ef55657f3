// SPDX-License-Identifier: Apache-2.0
//
// Users and their tokens come, change and go: each change is a record.
#include <algorithm>
#include <chrono>

#include "tools/daemon/access/access.h"

namespace tools {
namespace {

using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

// People and scanners see by it what it is.
constexpr std::string_view kTokenPrefix = "hindsight_";
constexpr std::size_t kIdBytes = 8;
constexpr cdp::Nanos kDay = cdp::seconds(24 * 60 * 60);

bool is_admin(const journal::UserRecord& user) {
  return !user.is_removed && includes(Roles{user.rights}, Roles::kAdmin);
}

// `roles` with, or without, leave to see data.
Roles with(Roles roles, bool sees_data) {
  const Roles named =
      roles & (Roles::kViewer | Roles::kOperator | Roles::kRestorer | Roles::kAdmin);
  return sees_data ? named | Roles::kSeesData : named;
}

Status check_roles(Roles roles) {
  if (with(roles, false) != Roles::kNone) return {};
  return make_error(EINVAL, "a user has one role at least: viewer, operator, restorer or admin");
}

}  // namespace

// --- Users --------------------------------------------------------------------------------------

const journal::UserRecord* Access::user(const std::string& name) const {
  return appliance_.journal().state().find_user(name);
}

std::vector<journal::UserRecord> Access::users() const {
  std::vector<journal::UserRecord> living;
  for (const auto& [name, each] : appliance_.journal().state().users) {
    if (!each.is_removed) living.push_back(each);
  }
  return living;
}

Status Access::keeps_an_administrator(const std::string& without) const {
  const auto& users = appliance_.journal().state().users;
  const bool is_kept = std::any_of(users.begin(), users.end(), [&](const auto& each) {
    return each.first != without && is_admin(each.second);
  });
  if (is_kept) return {};
  return make_error(EBUSY, "{} is the only administrator: make another one first", without);
}

Task<Result<journal::UserRecord>> Access::record(journal::UserRecord wanted) {
  const std::string name = wanted.name;
  Status recorded = co_await appliance_.record_user(std::move(wanted));
  if (!recorded) co_return std::move(recorded).error();
  co_return appliance_.journal().state().users.find(name)->second;
}

Task<Result<journal::UserRecord>> Access::create_user(std::string name, UserChange as) {
  const Roles roles = with(as.roles.value_or(Roles::kNone), as.sees_data.value_or(false));
  Status possible = journal::check_user_name(name);
  if (possible) possible = check_roles(roles);
  if (possible) possible = check_new_password(as.password.value_or(""), name);
  if (!possible) co_return std::move(possible).error();
  Result<std::string> verifier = co_await hasher_.hash(*std::move(as.password));
  if (!verifier) co_return std::move(verifier).error();
  // A name that was removed is not given again: in the audit it is somebody else.
  const auto& users = appliance_.journal().state().users;
  if (const auto known = users.find(name); known != users.end()) {
    co_return make_error(EEXIST, "there {} a user {}", known->second.is_removed ? "was" : "is",
                         name);
  }
  journal::UserRecord wanted{.name = std::move(name),
                             .verifier = *std::move(verifier),
                             .rights = static_cast<std::uint32_t>(roles)};
  co_return co_await record(std::move(wanted));
}

Task<Result<journal::UserRecord>> Access::change_user(std::string name, UserChange change) {
  std::optional<std::string> verifier;
  if (change.password.has_value()) {
    Status good = check_new_password(*change.password, name);
    if (!good) co_return std::move(good).error();
    Result<std::string> hashed = co_await hasher_.hash(*std::move(change.password));
    if (!hashed) co_return std::move(hashed).error();
    verifier = *std::move(hashed);
  }
  // Nothing waits from here to the record.
  const journal::UserRecord* const known = user(name);
  if (known == nullptr) co_return make_error(ENOENT, "there is no user {}", name);
  journal::UserRecord wanted = *known;
  const Roles had{known->rights};
  const Roles roles =
      with(change.roles.value_or(had), change.sees_data.value_or(includes(had, Roles::kSeesData)));
  Status possible = check_roles(roles);
  if (possible && is_admin(*known) && !includes(roles, Roles::kAdmin)) {
    possible = keeps_an_administrator(name);
  }
  if (!possible) co_return std::move(possible).error();
  wanted.rights = static_cast<std::uint32_t>(roles);
  if (verifier.has_value()) {
    wanted.verifier = *std::move(verifier);
    sessions_.end_all_of(name);
  }
  co_return co_await record(std::move(wanted));
}

Task<Status> Access::remove_user(std::string name) {
  const journal::UserRecord* const known = user(name);
  if (known == nullptr) co_return make_error(ENOENT, "there is no user {}", name);
  if (Status kept = keeps_an_administrator(name); is_admin(*known) && !kept) co_return kept;
  sessions_.end_all_of(name);
  journal::UserRecord wanted{.name = std::move(name), .is_removed = true};
  const Result<journal::UserRecord> removed = co_await record(std::move(wanted));
  if (!removed) co_return removed.error();
  co_return Status{};
}

Task<Status> Access::check_password(std::string name, std::string password, HttpPeer peer) {
  Status begun = begin_attempt(name, peer);
  if (!begun) co_return begun;
  std::string verifier = user(name)->verifier;
  const Result<bool> fits = co_await hasher_.fits(std::move(verifier), std::move(password));
  if (!fits) co_return fits.error();
  if (!*fits) co_return make_error(EKEYREJECTED, "the present password is another one");
  limits_.succeeded(name, peer.network);
  co_return Status{};
}

Task<Status> Access::change_password(Principal who, std::string current, std::string wanted,
                                     HttpPeer peer) {
  if (who.kind == Principal::Kind::kProcess || user(who.name) == nullptr) {
    co_return make_error(EPERM, "{} is no user, and has no password", who.name);
  }
  Status right = co_await check_password(who.name, std::move(current), std::move(peer));
  if (!right) co_return right;
  UserChange change{.password = std::move(wanted)};
  const Result<journal::UserRecord> changed =
      co_await change_user(std::move(who.name), std::move(change));
  if (!changed) co_return changed.error();
  co_return Status{};
}

// --- Tokens -------------------------------------------------------------------------------------

std::string Access::id_of(const journal::TokenRecord& token) {
  std::string id;
  for (std::size_t i = 0; i < kIdBytes; ++i) {
    id += fmt::format("{:02x}", std::to_integer<unsigned>(token.digest[i]));
  }
  return id;
}

std::vector<journal::TokenRecord> Access::tokens_of(const Principal& who) const {
  std::vector<journal::TokenRecord> tokens;
  const cdp::Nanos now = clock_.realtime();
  for (const auto& [digest, token] : appliance_.journal().state().tokens) {
    const bool may_see = token.user == who.name || includes(who.rights, Rights::kAdminister);
    if (may_see && token.expires > now) tokens.push_back(token);
  }
  return tokens;
}

Task<Result<Access::NewToken>> Access::create_token(Principal who, WantedToken wanted,
                                                    HttpPeer peer) {
  if (who.kind == Principal::Kind::kProcess || user(who.name) == nullptr) {
    co_return make_error(EPERM, "{} is no user: tokens stand for users", who.name);
  }
  const std::uint64_t days = wanted.days.value_or(kTokenDays);
  if (days == 0 || days > kTokenDaysMax) {
    co_return make_error(EINVAL, "a token lives 1 to {} days", kTokenDaysMax);
  }
  const Roles roles = wanted.roles.value_or(who.roles);
  if (!includes(who.rights, rights_of(roles))) {
    co_return make_error(EPERM, "a token cannot do more than {} who makes it", who.name);
  }
  if (wanted.password.has_value()) {
    Status right = co_await check_password(who.name, *std::move(wanted.password), std::move(peer));
    if (!right) co_return std::move(right).error();
    who.expires.reset();
  }
  NewToken made{.token = std::string{kTokenPrefix} + random_secret()};
  journal::TokenRecord& record = made.record;
  record.digest = digest_of_secret(made.token);
  record.user = who.name;
  record.label = std::move(wanted.label);
  record.rights = static_cast<std::uint32_t>(roles);
  record.expires = clock_.realtime() + cdp::Nanos{kDay.value * static_cast<std::int64_t>(days)};
  // Who has got hold of a token has it for its time, and no longer.
  if (who.expires.has_value() && record.expires > *who.expires) {
    if (wanted.days.has_value()) {
      co_return make_error(EPERM,
                           "a token cannot outlive the one that makes it, but with the "
                           "password of its user");
    }
    record.expires = *who.expires;
  }
  Status recorded = co_await appliance_.record_token(record);
  if (!recorded) co_return std::move(recorded).error();
  const auto& tokens = appliance_.journal().state().tokens;
  if (const auto kept = tokens.find(record.digest); kept != tokens.end()) record = kept->second;
  co_return made;
}

Task<Status> Access::revoke_token(Principal who, std::string id) {
  for (const journal::TokenRecord& token : tokens_of(who)) {
    if (id_of(token) != id) continue;
    journal::TokenRecord revoked = token;
    revoked.is_revoked = true;
    Status recorded = co_await appliance_.record_token(std::move(revoked));
    co_return recorded;
  }
  co_return make_error(ENOENT, "there is no token {}", id);
}

}  // namespace tools
