// SPDX-License-Identifier: Apache-2.0
#include <boost/json/array.hpp>
#include <utility>

#include "tools/cli/access_verbs.h"
#include "tools/cli/output.h"
#include "tools/cli/password_prompt.h"
#include "tools/cli/table.h"
#include "tools/cli/verb_support.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

namespace json = boost::json;
using api::Client;
using cdp::Result;
using restore::TimeZone;

constexpr char kDefaultRole[] = "viewer";

json::array array_of_texts(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

Result<json::object> send(const Client& client, std::string_view method, const Client::Path& path,
                          const json::value& body) {
  return api::object_of_answer(client.send(method, path, body));
}

// Its document, or one sentence.
int done(const CommandLine& line, const Result<json::object>& reply, const std::string& sentence) {
  if (!reply.ok()) return failed(reply.error());
  if (line.json)
    print_document(*reply);
  else
    say(sentence);
  return kDone;
}

std::string yes_or_no(bool is_so) { return is_so ? "yes" : "no"; }

// The documents of a list as a table with a row each.
template <typename Row>
int list(const CommandLine& line, const Result<json::object>& reply, const char* key,
         const char* if_none, Table table, Row row) {
  if (!reply.ok()) return failed(reply.error());
  const json::array* const found = array_of(*reply, key);
  if (line.json) {
    print_document(*reply);
  } else if (found == nullptr || found->empty()) {
    say(if_none);
  } else {
    for (const json::value& one : *found) {
      if (one.is_object()) table.add(row(one.get_object()));
    }
    print(table.text());
  }
  return kDone;
}

int create_user(const CommandLine& line, const Client& client) {
  const Result<std::string> password = ask_new_secret("password of " + line.name);
  if (!password.ok()) return failed(password.error());
  const std::vector<std::string> roles =
      line.roles.empty() ? std::vector<std::string>{kDefaultRole} : line.roles;
  const Result<json::object> user =
      send(client, "POST", {"api", "users"},
           json::object{{"name", line.name},
                        {"password", *password},
                        {"roles", array_of_texts(roles)},
                        {"sees_data", line.sees_data.value_or(false)}});
  return done(
      line, user,
      user.ok() ? fmt::format("the user {} is made: {}", line.name, roles_text(*user)) : "");
}

int list_users(const CommandLine& line, const TimeZone& zone, const Client& client) {
  return list(line, api::object_of_answer(client.get({"api", "users"}, {{"tz", zone.name()}})),
              "users", "there are no users: `hindsight setup NAME` makes the first one",
              Table{{"NAME", "ROLES", "SEES DATA", "CHANGED"}}.keep("NAME"),
              [&zone](const json::object& user) {
                const json::object* const changed = object_of(user, "changed");
                return Table::Row{text_of(user, "name"), roles_text(user),
                                  yes_or_no(may_see_data(user)),
                                  changed != nullptr ? local_second_of(*changed, zone) : "?"};
              });
}

int change_user(const CommandLine& line, const Client& client) {
  json::object body;
  if (!line.roles.empty()) body["roles"] = array_of_texts(line.roles);
  if (line.sees_data) body["sees_data"] = *line.sees_data;
  if (line.change_password) {
    const Result<std::string> password = ask_new_secret("new password of " + line.name);
    if (!password.ok()) return failed(password.error());
    body["password"] = *password;
  }
  const Result<json::object> user = send(client, "PATCH", {"api", "users", line.name}, body);
  return done(line, user,
              user.ok() ? fmt::format("the user {} is changed: {}; sees data: {}", line.name,
                                      roles_text(*user), yes_or_no(may_see_data(*user)))
                        : "");
}

int create_token(const CommandLine& line, const TimeZone& zone, const Client& client) {
  json::object body{{"label", line.label}};
  if (!line.roles.empty()) body["roles"] = array_of_texts(line.roles);
  if (line.sees_data) body["sees_data"] = *line.sees_data;
  if (line.days) body["days"] = *line.days;
  Result<json::object> token = send(client, "POST", {"api", "tokens"}, body);
  // It would outlive the one of `login`, which wants the password again.
  if (!token.ok() && token.error().code == EPERM && line.days) {
    say(token.error().message);
    Result<std::string> password = ask_secret("password");
    if (!password.ok()) return failed(password.error());
    body["password"] = *std::move(password);
    token = send(client, "POST", {"api", "tokens"}, body);
  }
  if (!token.ok()) return failed(token.error());
  if (line.json) {
    print_document(*token);
    return kDone;
  }
  print(text_of(*token, "token") + "\n");
  say(fmt::format("the token {} ({}) is valid until {}; it is not shown again",
                  text_of(*token, "id"), line.label, expiry_text(*token, zone)));
  return kDone;
}

int list_tokens(const CommandLine& line, const TimeZone& zone, const Client& client) {
  return list(line, api::object_of_answer(client.get({"api", "tokens"}, {{"tz", zone.name()}})),
              "tokens", "there are no tokens: `hindsight token create LABEL` makes one",
              Table{{"ID", "USER", "ROLES", "SEES DATA", "UNTIL", "LABEL"}}.keep("ID"),
              [&zone](const json::object& token) {
                return Table::Row{text_of(token, "id"),     text_of(token, "user"),
                                  roles_text(token),        yes_or_no(may_see_data(token)),
                                  expiry_text(token, zone), text_of(token, "label")};
              });
}

}  // namespace

std::optional<int> run_account_verb(const CommandLine& line, const TimeZone& zone,
                                    const Client& client) {
  switch (line.verb) {
    case Verb::kUserCreate:
      return create_user(line, client);
    case Verb::kUserList:
      return list_users(line, zone, client);
    case Verb::kUserChange:
      return change_user(line, client);
    case Verb::kUserRemove:
      return done(line, send(client, "DELETE", {"api", "users", line.name}, nullptr),
                  fmt::format("the user {} is gone, and so are the user's tokens", line.name));
    case Verb::kTokenCreate:
      return create_token(line, zone, client);
    case Verb::kTokenList:
      return list_tokens(line, zone, client);
    case Verb::kTokenRevoke:
      return done(line, send(client, "DELETE", {"api", "tokens", line.token_id}, nullptr),
                  fmt::format("the token {} is worth nothing now", line.token_id));
    default:
      return std::nullopt;
  }
}

}  // namespace tools::cli
