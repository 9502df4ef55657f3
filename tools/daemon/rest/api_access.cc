// SPDX-License-Identifier: Apache-2.0
//
// Operations of users, sessions and tokens, and the audit.
#include <boost/json/array.hpp>
#include <utility>

#include "tools/api/documents.h"
#include "tools/daemon/rest/api.h"
#include "tools/daemon/rest/paging.h"
#include "tools/daemon/rest/problem.h"

namespace tools {
namespace {

namespace json = boost::json;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

constexpr PageSize kAuditPage{.without = 1000, .most = 10'000};

void add_roles(json::object& document, Roles roles) {
  json::array names;
  for (const std::string_view name : names_of(roles)) names.emplace_back(name);
  document["roles"] = std::move(names);
  document["sees_data"] = includes(roles, Roles::kSeesData);
}

json::object user_document(const journal::UserRecord& user, const restore::TimeZone& zone) {
  json::object document{{"name", user.name}};
  add_roles(document, Roles{user.rights});
  document["changed"] = api::stamp_document(user.stamp, zone);
  return document;
}

json::object token_document(const journal::TokenRecord& token, const restore::TimeZone& zone) {
  json::object document{{"id", Access::id_of(token)}, {"user", token.user}, {"label", token.label}};
  add_roles(document, Roles{token.rights});
  document["created"] = api::stamp_document(token.stamp, zone);
  document["expires"] = restore::format_time(token.expires, zone);
  return document;
}

std::string_view kind_text(Principal::Kind kind) {
  switch (kind) {
    case Principal::Kind::kProcess:
      return "process";
    case Principal::Kind::kSession:
      return "session";
    case Principal::Kind::kToken:
      return "token";
    case Principal::Kind::kNobody:
      break;
  }
  return "nobody";
}

// Nothing where the request names none.
Result<std::optional<Roles>> roles_in(const Arguments& arguments) {
  if (!arguments.has("roles")) return std::optional<Roles>{};
  const Result<Roles> roles = parse_roles(arguments.get<std::vector<std::string>>("roles"));
  if (!roles) return roles.error();
  return std::optional{*roles};
}

std::optional<bool> sees_data_in(const Arguments& arguments) {
  if (!arguments.has("sees_data")) return std::nullopt;
  return arguments.flag("sees_data");
}

// Tells who has tried too often when he may try again.
HttpResponse refused(const cdp::Error& error, cdp::Nanos wait) {
  HttpResponse response = problem_response(error);
  if (error.code == EDQUOT)
    response.retry_after = std::chrono::seconds{wait.value / 1'000'000'000 + 1};
  return response;
}

}  // namespace

// --- Sessions -----------------------------------------------------------------------------------

Api::Document Api::session_document(const Call& call) {
  Document document{{"user", call.who.name}};
  add_roles(document, call.who.roles);
  document["by"] = kind_text(call.who.kind);
  if (const Sessions::Session* const session = access_.session_of(call.who)) {
    document["csrf_token"] = session->csrf_token;
    const cdp::Nanos left = session->ends() - clock_.boottime();
    document["expires"] = restore::format_time(clock_.realtime() + left, call.zone);
  } else if (call.who.expires.has_value()) {
    document["expires"] = restore::format_time(*call.who.expires, call.zone);
  }
  return document;
}

Task<Api::Answer> Api::get_set_up(Call) {
  co_return json_response({{"first_start", access_.first_start_code().has_value()}});
}

Task<Api::Answer> Api::set_up(Call call) {
  const Arguments& arguments = call.arguments;
  Result<journal::UserRecord> made = co_await access_.set_up(
      arguments.text("code"), arguments.text("name"), arguments.text("password"), call.peer);
  if (!made) co_return refused(made.error(), access_.wait(Access::kCodeAttempt, call.peer));
  co_return json_response(user_document(*made, call.zone));
}

Task<Api::Answer> Api::sign_in(Call call) {
  const Arguments& arguments = call.arguments;
  Result<Access::SignedIn> signed_in =
      co_await access_.sign_in(arguments.text("name"), arguments.text("password"), call.peer);
  if (!signed_in) {
    co_return refused(signed_in.error(), access_.wait(arguments.text("name"), call.peer));
  }
  call.who.kind = Principal::Kind::kSession;
  call.who.name = signed_in->session.user;
  call.who.roles = signed_in->roles;
  call.who.credential = signed_in->secret;
  HttpResponse response = json_response(session_document(call));
  response.set_cookie = session_cookie(signed_in->secret, call.peer.is_encrypted);
  co_return response;
}

Task<Api::Answer> Api::get_session(Call call) { co_return json_response(session_document(call)); }

Task<Api::Answer> Api::sign_out(Call call) {
  if (call.who.kind != Principal::Kind::kSession) {
    co_return make_error(EINVAL, "{} has no session to end", call.who.name);
  }
  HttpResponse response = json_response(session_document(call));
  access_.sign_out(call.who);
  response.set_cookie = ended_session_cookie(call.peer.is_encrypted);
  co_return response;
}

Task<Api::Answer> Api::change_password(Call call) {
  const Arguments& arguments = call.arguments;
  const std::string name = call.who.name;
  Status changed = co_await access_.change_password(call.who, arguments.text("current"),
                                                    arguments.text("new"), call.peer);
  if (!changed) co_return refused(changed.error(), access_.wait(name, call.peer));
  co_return json_response(
      user_document(appliance_.journal().state().users.find(name)->second, call.zone));
}

// --- Users --------------------------------------------------------------------------------------

Task<Api::Answer> Api::list_users(Call call) {
  json::array users;
  for (const journal::UserRecord& user : access_.users()) {
    users.push_back(user_document(user, call.zone));
  }
  co_return json_response({{"users", std::move(users)}});
}

Task<Api::Answer> Api::create_user(Call call) {
  const Arguments& arguments = call.arguments;
  Result<std::optional<Roles>> roles = roles_in(arguments);
  if (!roles) co_return std::move(roles).error();
  Access::UserChange as{arguments.text("password"), *roles, sees_data_in(arguments)};
  Result<journal::UserRecord> made =
      co_await access_.create_user(arguments.text("name"), std::move(as));
  if (!made) co_return std::move(made).error();
  co_return json_response(user_document(*made, call.zone));
}

Task<Api::Answer> Api::change_user(Call call) {
  const Arguments& arguments = call.arguments;
  Result<std::optional<Roles>> roles = roles_in(arguments);
  if (!roles) co_return std::move(roles).error();
  Access::UserChange change{{}, *roles, sees_data_in(arguments)};
  if (arguments.has("password")) change.password = arguments.text("password");
  if (!change.password && !change.roles && !change.sees_data) {
    co_return make_error(EINVAL, "give a \"password\", \"roles\" or \"sees_data\"");
  }
  Result<journal::UserRecord> changed =
      co_await access_.change_user(arguments.text("user"), std::move(change));
  if (!changed) co_return std::move(changed).error();
  co_return json_response(user_document(*changed, call.zone));
}

Task<Api::Answer> Api::remove_user(Call call) {
  const std::string name = call.arguments.text("user");
  Status removed = co_await access_.remove_user(name);
  if (!removed) co_return std::move(removed).error();
  co_return json_response({{"name", name}});
}

// --- Tokens -------------------------------------------------------------------------------------

Task<Api::Answer> Api::list_tokens(Call call) {
  json::array tokens;
  for (const journal::TokenRecord& token : access_.tokens_of(call.who)) {
    tokens.push_back(token_document(token, call.zone));
  }
  co_return json_response({{"tokens", std::move(tokens)}});
}

Task<Api::Answer> Api::create_token(Call call) {
  const Arguments& arguments = call.arguments;
  Result<std::optional<Roles>> named = roles_in(arguments);
  if (!named) co_return std::move(named).error();
  Roles roles = (*named).value_or(call.who.roles & ~Roles::kSeesData);
  if (sees_data_in(arguments).value_or(includes(call.who.roles, Roles::kSeesData))) {
    roles = roles | Roles::kSeesData;
  }
  Access::WantedToken wanted{.label = arguments.text("label"), .roles = roles};
  if (arguments.has("days")) wanted.days = arguments.get<std::uint64_t>("days");
  if (arguments.has("password")) wanted.password = arguments.text("password");
  Result<Access::NewToken> made =
      co_await access_.create_token(call.who, std::move(wanted), call.peer);
  if (!made) co_return refused(made.error(), access_.wait(call.who.name, call.peer));
  Document document = token_document(made->record, call.zone);
  document["token"] = made->token;
  co_return json_response(document);
}

Task<Api::Answer> Api::revoke_token(Call call) {
  const std::string id = call.arguments.text("token");
  Status revoked = co_await access_.revoke_token(call.who, id);
  if (!revoked) co_return std::move(revoked).error();
  co_return json_response({{"id", id}});
}

// --- The audit ----------------------------------------------------------------------------------

Task<Api::Answer> Api::get_audit(Call call) {
  api::AuditWindow window;
  if (call.arguments.has("before")) {
    window.before = cdp::Lsn{call.arguments.get<std::uint64_t>("before")};
  }
  const Result<std::size_t> limit = limit_of(call.arguments, kAuditPage);
  if (!limit) co_return limit.error();
  window.limit = *limit;
  Status durable = co_await appliance_.make_audits_durable();
  if (!durable) co_return std::move(durable).error();
  Result<Document> document = co_await queries_.audit(std::move(call.zone), window);
  if (!document) co_return std::move(document).error();
  co_return json_response(*document);
}

}  // namespace tools
