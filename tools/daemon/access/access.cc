// SPDX-License-Identifier: Apache-2.0
//
// Who asks: by the kernel, a token, or a session; signing in, and the first start.
#include "tools/daemon/access/access.h"

#include <fmt/format.h>
#include <grp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "cdp/base/random_bytes.h"

namespace tools {
namespace {

using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

constexpr char kGroup[] = "hindsight";
constexpr std::string_view kBearer = "Bearer ";
constexpr std::string_view kCookie = "hindsight";
constexpr std::string_view kCookieOverTls = "__Host-hindsight";
constexpr Roles kRolesOfProcesses = Roles::kOperator | Roles::kRestorer | Roles::kSeesData;
constexpr cdp::Nanos kSecond = cdp::seconds(1);

std::optional<gid_t> group_number() {
  group entry{};
  group* found = nullptr;
  std::array<char, 16384> buffer;
  getgrnam_r(kGroup, &entry, buffer.data(), buffer.size(), &found);
  return found != nullptr ? std::optional{found->gr_gid} : std::nullopt;
}

// 75 bits, without letters that are taken for one another: "4KTQ9-ZX7MP-R2HWC".
std::string make_code() {
  constexpr std::string_view kLetters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
  std::array<std::byte, 15> bytes;
  cdp::fill_random(bytes);
  std::string code;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i != 0 && i % 5 == 0) code += '-';
    code += kLetters[std::to_integer<std::size_t>(bytes[i]) % kLetters.size()];
  }
  return code;
}

// "a=1; b=2"
std::string cookie_named(std::string_view name, std::string_view cookies) {
  while (!cookies.empty()) {
    const std::size_t end = std::min(cookies.find(';'), cookies.size());
    std::string_view one = cookies.substr(0, end);
    cookies.remove_prefix(std::min(end + 1, cookies.size()));
    one.remove_prefix(std::min(one.find_first_not_of(' '), one.size()));
    if (one.starts_with(name) && one.substr(name.size()).starts_with('=')) {
      return std::string{one.substr(name.size() + 1)};
    }
  }
  return {};
}

std::string secret_of_session(const HttpRequest& request) {
  return cookie_named(request.peer.is_encrypted ? kCookieOverTls : kCookie, request.header.cookie);
}

bool changes_something(const HttpRequest& request) { return request.method != "GET"; }

// A browser says where the page comes from that asks; other clients say nothing.
Status check_origin(const HttpRequest& request) {
  if (!changes_something(request)) return {};
  const std::string& site = request.header.fetch_site;
  const std::string& origin = request.header.origin;
  const std::size_t host_at = origin.find("://");
  const bool is_ours = (site.empty() || site == "same-origin" || site == "none") &&
                       (origin.empty() || (host_at != origin.npos &&
                                           origin.substr(host_at + 3) == request.header.host));
  if (is_ours) return {};
  return make_error(EPERM, "a page of another origin may not ask this");
}

}  // namespace

Access::Access(cdp::Reactor& reactor, const cdp::Clock& clock, Appliance& appliance)
    : clock_(clock),
      appliance_(appliance),
      hasher_(reactor),
      sessions_(clock),
      limits_(clock),
      group_(group_number()) {
  if (appliance_.journal().state().users.empty()) first_start_code_ = make_code();
}

// --- Who asks -----------------------------------------------------------------------------------

Result<Principal> Access::identify(const HttpRequest& request) {
  if (Status own = check_origin(request); !own) return std::move(own).error();
  const HttpPeer& peer = request.peer;
  Principal who{.origin = peer.process.has_value() ? "the control socket" : peer.name};
  if (!request.header.authorization.empty()) {
    return identify_token(request.header.authorization, std::move(who));
  }
  const std::string secret = secret_of_session(request);
  if (!secret.empty()) return identify_session(secret, request, std::move(who));
  if (peer.process.has_value() && is_trusted(*peer.process)) {
    who.kind = Principal::Kind::kProcess;
    who.name = peer.name;
    who.roles = kRolesOfProcesses;
    who.rights = rights_of(who.roles) | Rights::kSeeAudit;
  }
  return who;
}

bool Access::is_still(const Principal& who, Rights wanted) const {
  const journal::UserRecord* const known = user(who.name);
  switch (who.kind) {
    case Principal::Kind::kNobody:
      return wanted == Rights::kNone;
    case Principal::Kind::kProcess:  // for as long as its connection lasts
      return includes(who.rights, wanted);
    case Principal::Kind::kSession:
      return known != nullptr && includes(rights_of(Roles{known->rights}), wanted) &&
             sessions_.is_alive(who.credential);
    case Principal::Kind::kToken:
      break;
  }
  const auto& tokens = appliance_.journal().state().tokens;
  return known != nullptr && includes(who.rights & rights_of(Roles{known->rights}), wanted) &&
         std::any_of(tokens.begin(), tokens.end(), [&](const auto& of) {
           return of.second.expires > clock_.realtime() && of.second.user == who.name &&
                  id_of(of.second) == who.credential;
         });
}

bool Access::is_trusted(const HttpPeer::Process& process) const {
  return process.uid == 0 || process.uid == geteuid() ||
         (group_.has_value() &&
          std::find(process.groups.begin(), process.groups.end(), *group_) != process.groups.end());
}

Result<Principal> Access::identify_token(const std::string& authorization, Principal who) const {
  if (!authorization.starts_with(kBearer)) {
    return make_error(EKEYREJECTED, "the request's Authorization must be: Bearer TOKEN");
  }
  const journal::JournalState& state = appliance_.journal().state();
  const journal::Digest digest =
      digest_of_secret(std::string_view{authorization}.substr(kBearer.size()));
  const auto token = state.tokens.find(digest);
  if (token == state.tokens.end() || user(token->second.user) == nullptr) {
    return make_error(EKEYREJECTED, "the token is not known here, or was revoked: sign in again");
  }
  if (token->second.expires <= clock_.realtime()) {
    return make_error(EKEYREJECTED, "the token has expired: sign in again");
  }
  who.kind = Principal::Kind::kToken;
  who.name = token->second.user;
  who.roles = Roles{token->second.rights};
  // Of a user who has lost a role, the token has.
  who.rights = rights_of(who.roles) & rights_of(Roles{user(who.name)->rights});
  who.credential = id_of(token->second);
  who.expires = token->second.expires;
  return who;
}

// What a browser sends along by itself is not enough to change anything.
Result<Principal> Access::identify_session(const std::string& secret, const HttpRequest& request,
                                           Principal who) {
  const Sessions::Session* const session = sessions_.find(secret);
  if (session == nullptr || user(session->user) == nullptr) {
    return make_error(EKEYREJECTED, "the session has ended: sign in again");
  }
  if (changes_something(request) &&
      !is_same_secret(request.header.csrf_token, session->csrf_token)) {
    return make_error(EPERM, "the request lacks the session's token in X-CSRF-Token");
  }
  who.kind = Principal::Kind::kSession;
  who.name = session->user;
  who.roles = Roles{user(who.name)->rights};
  who.rights = rights_of(who.roles);
  who.credential = secret;
  return who;
}

// --- Signing in ---------------------------------------------------------------------------------

cdp::Nanos Access::wait(const std::string& name, const HttpPeer& peer) const {
  return limits_.wait(name, peer.network);
}

Status Access::begin_attempt(const std::string& name, const HttpPeer& peer) {
  const cdp::Nanos left = wait(name, peer);
  if (left.value > 0) {
    return make_error(EDQUOT, "too many attempts: try again in {} seconds",
                      left.value / kSecond.value + 1);
  }
  limits_.begin(name, peer.network);
  return {};
}

Task<Result<Access::SignedIn>> Access::sign_in(std::string name, std::string password,
                                               HttpPeer peer) {
  Status begun = begin_attempt(name, peer);
  if (!begun) co_return std::move(begun).error();
  const journal::UserRecord* known = user(name);
  std::string verifier = known != nullptr ? known->verifier : std::string{};
  const Result<bool> fits = co_await hasher_.fits(verifier, std::move(password));
  if (!fits) co_return fits.error();
  known = user(name);  // as he is now
  if (!*fits || known == nullptr || known->verifier != verifier) {
    co_return make_error(EKEYREJECTED, "the name or the password is wrong");
  }
  limits_.succeeded(name, peer.network);
  SignedIn signed_in{.secret = sessions_.begin(name), .roles = Roles{known->rights}};
  signed_in.session = *sessions_.find(signed_in.secret);
  co_return signed_in;
}

void Access::sign_out(const Principal& who) {
  if (who.kind == Principal::Kind::kSession) sessions_.end(who.credential);
}

const Sessions::Session* Access::session_of(const Principal& who) {
  return who.kind == Principal::Kind::kSession ? sessions_.find(who.credential) : nullptr;
}

// --- The first start ----------------------------------------------------------------------------

Task<Result<journal::UserRecord>> Access::set_up(std::string code, std::string name,
                                                 std::string password, HttpPeer peer) {
  if (!first_start_code_.has_value()) {
    co_return make_error(EPERM, "this appliance has been set up: an administrator makes users");
  }
  Status begun = begin_attempt(kCodeAttempt, peer);
  if (!begun) co_return std::move(begun).error();
  if (!is_same_secret(code, *first_start_code_)) {
    co_return make_error(EKEYREJECTED,
                         "the code is wrong: the daemon tells it in its log when it starts");
  }
  limits_.succeeded(kCodeAttempt, peer.network);
  // Nobody else may use it meanwhile.
  std::optional<std::string> held = std::exchange(first_start_code_, std::nullopt);
  UserChange as{.password = std::move(password), .roles = Roles::kAdmin};
  Result<journal::UserRecord> made = co_await create_user(std::move(name), std::move(as));
  if (appliance_.journal().state().users.empty()) first_start_code_ = std::move(held);
  co_return made;
}

// --- Cookies ------------------------------------------------------------------------------------

std::string session_cookie(const std::string& secret, bool is_encrypted) {
  return fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict{}",
                     is_encrypted ? kCookieOverTls : kCookie, secret,
                     is_encrypted ? "; Secure" : "");
}

std::string ended_session_cookie(bool is_encrypted) {
  return session_cookie("", is_encrypted) + "; Max-Age=0";
}

}  // namespace tools
