// SPDX-License-Identifier: Apache-2.0
//
// Access: who asks, and what becomes of users. Users and tokens are journal records (USER, TOKEN):
// the journal's state is their only table, which every segment opens with. Here are the sessions of
// those who signed in, and the code of the first start.
//
// Passwords are for signing in, which gives a session; a session makes tokens; a token stands for
// its user with those of his roles that it was made with, until it expires or is revoked. Who asks
// at the control socket and shows neither is the process that the kernel says: root, the daemon's
// own user and members of the group `hindsight` are operators and restorers, never administrators
// of users.
//
// While no user was ever made, a code that is told on the console lets one be made, an
// administrator. It ends with the daemon, and with the first user.
//
// On the reactor's thread. All that it is given must outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/io/reactor.h"
#include "tools/daemon/access/password_hasher.h"
#include "tools/daemon/access/rights.h"
#include "tools/daemon/access/sessions.h"
#include "tools/daemon/access/sign_in_limits.h"
#include "tools/daemon/appliance.h"
#include "tools/daemon/rest/http_message.h"

namespace tools {

class Access {
 public:
  Access(cdp::Reactor& reactor, const cdp::Clock& clock, Appliance& appliance);

  // EKEYREJECTED where what it shows is not, or no more, good; EPERM where a page of another origin
  // asks. Nobody where it shows nothing.
  cdp::Result<Principal> identify(const HttpRequest& request);

  // Whether what he showed is still good, and still gives him `wanted`; that is not another use of
  // it.
  bool is_still(const Principal& who, Rights wanted) const;

  // --- Signing in

  struct SignedIn {
    std::string secret;
    Sessions::Session session{};
    Roles roles = Roles::kNone;
  };
  // EKEYREJECTED; EDQUOT where too many attempts went before.
  cdp::Task<cdp::Result<SignedIn>> sign_in(std::string name, std::string password, HttpPeer peer);
  void sign_out(const Principal& who);
  // Null where who asks has none.
  const Sessions::Session* session_of(const Principal& who);
  // How long the next attempt has to wait, of a user or (kCodeAttempt) of set_up; 0: not at all.
  static constexpr char kCodeAttempt[] = "the code of the first start";
  cdp::Nanos wait(const std::string& name, const HttpPeer& peer) const;

  // --- The first start

  // None where a user was ever made.
  const std::optional<std::string>& first_start_code() const { return first_start_code_; }
  cdp::Task<cdp::Result<journal::UserRecord>> set_up(std::string code, std::string name,
                                                     std::string password, HttpPeer peer);

  // --- Users: ENOENT, EEXIST, EINVAL; EBUSY where no administrator would be left

  struct UserChange {
    std::optional<std::string> password{};
    std::optional<Roles> roles{};  // without kSeesData, as people name them
    std::optional<bool> sees_data{};
  };
  cdp::Task<cdp::Result<journal::UserRecord>> create_user(std::string name, UserChange as);
  cdp::Task<cdp::Result<journal::UserRecord>> change_user(std::string name, UserChange change);
  cdp::Task<cdp::Status> remove_user(std::string name);
  // EKEYREJECTED where `current` is not his password.
  cdp::Task<cdp::Status> change_password(Principal who, std::string current, std::string wanted,
                                         HttpPeer peer);

  // --- Tokens

  struct NewToken {
    std::string token;  // shown once
    journal::TokenRecord record{};
  };
  struct WantedToken {
    std::string label;
    std::optional<Roles> roles{};  // those it stands for; all that its maker has where not given
    std::optional<std::uint64_t> days{};
    // One that is made with a token does not outlive it, but where its user's password is given.
    std::optional<std::string> password{};
  };
  cdp::Task<cdp::Result<NewToken>> create_token(Principal who, WantedToken wanted, HttpPeer peer);
  // By its id: one's own, or as an administrator anybody's.
  cdp::Task<cdp::Status> revoke_token(Principal who, std::string id);
  static std::string id_of(const journal::TokenRecord& token);

  // Living users, tokens that have not expired.
  std::vector<journal::UserRecord> users() const;
  std::vector<journal::TokenRecord> tokens_of(const Principal& who) const;

  static constexpr std::uint64_t kTokenDays = 30;
  static constexpr std::uint64_t kTokenDaysMax = 366;

 private:
  cdp::Result<Principal> identify_token(const std::string& authorization, Principal who) const;
  cdp::Result<Principal> identify_session(const std::string& secret, const HttpRequest& request,
                                          Principal who);
  bool is_trusted(const HttpPeer::Process& process) const;
  // Null where there is none, or he was removed.
  const journal::UserRecord* user(const std::string& name) const;
  // EKEYREJECTED where it is not the password of the user, who is there.
  cdp::Task<cdp::Status> check_password(std::string name, std::string password, HttpPeer peer);
  // The attempt counts until succeeded() of the limits.
  cdp::Status begin_attempt(const std::string& name, const HttpPeer& peer);
  cdp::Task<cdp::Result<journal::UserRecord>> record(journal::UserRecord wanted);
  cdp::Status keeps_an_administrator(const std::string& without) const;

  const cdp::Clock& clock_;
  Appliance& appliance_;
  PasswordHasher hasher_;
  Sessions sessions_;
  SignInLimits limits_;
  std::optional<std::string> first_start_code_;
  const std::optional<gid_t> group_;
};

// The session's cookie: as it is set, and found. Over TLS it has a name that a browser takes from
// nowhere else.
std::string session_cookie(const std::string& secret, bool is_encrypted);
// One that ends it.
std::string ended_session_cookie(bool is_encrypted);

}  // namespace tools
