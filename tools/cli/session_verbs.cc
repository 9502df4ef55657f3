// SPDX-License-Identifier: Apache-2.0
#include <limits.h>
#include <unistd.h>

#include <array>
#include <boost/json/array.hpp>
#include <utility>

#include "tools/cli/access_verbs.h"
#include "tools/cli/credentials.h"
#include "tools/cli/daemon_access.h"
#include "tools/cli/output.h"
#include "tools/cli/password_prompt.h"
#include "tools/cli/table.h"
#include "tools/cli/verb_support.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

namespace json = boost::json;
using api::Client;
using api::ServerAddress;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using restore::TimeZone;

constexpr int kDefaultLoginDays = 1;

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "some host";
  return name.data();
}

Client::Request request_of(std::string method, Client::Path path, json::value body = nullptr) {
  Client::Request request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.body = std::move(body);
  return request;
}

Result<json::object> object_of(Result<Client::Answer> answer) {
  if (!answer.ok()) return std::move(answer).error();
  return api::object_of_answer(std::move(answer->document));
}

// A session of the daemon: what a browser has, and a login for as long as it takes to get a token.
class Session {
 public:
  static Result<Session> open(const Client& client, const std::string& user,
                              const std::string& password) {
    Result<Client::Answer> answer = client.ask(request_of(
        "POST", {"api", "session"}, json::object{{"name", user}, {"password", password}}));
    if (!answer.ok()) return std::move(answer).error();
    std::string cookie = answer->set_cookie.substr(0, answer->set_cookie.find(';'));
    const Result<json::object> document = object_of(std::move(answer));
    if (!document.ok()) return document.error();
    if (cookie.empty())
      return make_error(EBADMSG, "the daemon signed {} in without a cookie", user);
    return Session{client, std::move(cookie), text_of(*document, "csrf_token")};
  }

  Result<json::object> make_token(const std::string& label, int days) const {
    return ask(
        request_of("POST", {"api", "tokens"}, json::object{{"label", label}, {"days", days}}));
  }
  Status close() const {
    const Result<json::object> closed = ask(request_of("DELETE", {"api", "session"}));
    if (!closed.ok()) return closed.error();
    return {};
  }

 private:
  Session(const Client& client, std::string cookie, std::string csrf_token)
      : client_(client), cookie_(std::move(cookie)), csrf_token_(std::move(csrf_token)) {}

  Result<json::object> ask(Client::Request request) const {
    request.fields = {{"Cookie", cookie_}, {"X-CSRF-Token", csrf_token_}};
    return object_of(client_.ask(request));
  }

  const Client& client_;
  std::string cookie_;
  std::string csrf_token_;
};

// With the token that is stored, not the one of HINDSIGHT_TOKEN.
Status revoke(const ServerAddress& server, const StoredLogin& login) {
  Result<Client> client = Client::make(server.text(), {login.token, login.ca_pem});
  if (!client.ok()) return std::move(client).error();
  const auto revoked = client->ask(request_of("DELETE", {"api", "tokens", login.token_id}));
  if (!revoked.ok()) return revoked.error();
  return {};
}

int log_in(const CommandLine& line, const TimeZone& zone, const ServerAddress& server) {
  if (server.kind == ServerAddress::Kind::kUnix) {
    say("at a unix socket the daemon knows you by your user: sign in where --server is "
        "https://HOST:PORT");
    return kWrongUsage;
  }
  const Result<CredentialStore> store = CredentialStore::of_user();
  if (!store.ok()) return failed(store.error());
  // Before the password is asked for: what is there must be ours to replace.
  Result<std::optional<StoredLogin>> before = store->find(server.text());
  if (!before.ok()) return failed(before.error());
  Result<std::string> ca = read_named_ca(line);
  if (!ca.ok()) return failed(ca.error());
  if (ca->empty() && before->has_value()) *ca = (*before)->ca_pem;
  const Result<Client> client = Client::make(server.text(), {{}, *ca});
  if (!client.ok()) return failed(client.error());

  const Result<std::string> password = ask_secret("password of " + line.name);
  if (!password.ok()) return failed(password.error());
  const Result<Session> session = Session::open(*client, line.name, *password);
  if (!session.ok()) return failed(session.error());
  const Result<json::object> token =
      session->make_token(fmt::format("login of {} at {}", line.name, host_name()),
                          line.days.value_or(kDefaultLoginDays));
  const Status closed = session->close();
  if (!token.ok()) return failed(token.error());
  const StoredLogin login{line.name, text_of(*token, "token"), text_of(*token, "id"),
                          text_of(*token, "expires"), *ca};
  if (login.token.empty()) return failed(make_error(EBADMSG, "the daemon gave no token"));
  if (const Status kept = store->keep(server.text(), login); !kept.ok()) {
    (void)revoke(server, login);
    return failed(kept.error());
  }
  // One sign-in at a time: the one before ends, where it has not yet.
  if (before->has_value() && !(*before)->token.empty()) (void)revoke(server, **before);
  if (line.json) {
    print_document({{"server", server.text()},
                    {"user", login.user},
                    {"token_id", login.token_id},
                    {"expires", login.expires}});
  } else {
    say(fmt::format("{} is signed in to {} until {}; next: hindsight --server {} status", line.name,
                    server.text(), expiry_text(*token, zone), server.text()));
  }
  if (!closed.ok()) {
    say("note: ending the session that the token was got with failed: " + closed.error().message);
    return kSomethingToKnow;
  }
  return kDone;
}

int log_out(const ServerAddress& server) {
  const Result<CredentialStore> store = CredentialStore::of_user();
  if (!store.ok()) return failed(store.error());
  Result<std::optional<StoredLogin>> login = store->find(server.text());
  if (!login.ok()) return failed(login.error());
  if (!login->has_value() || (*login)->token.empty()) {
    say(fmt::format("nobody is signed in to {} from here", server.text()));
    return kDone;
  }
  const Status revoked = revoke(server, **login);
  // The CA stays, for the next sign-in.
  StoredLogin rest;
  rest.user = (*login)->user;
  rest.ca_pem = (*login)->ca_pem;
  if (const Status kept = store->keep(server.text(), rest); !kept.ok()) return failed(kept.error());
  // EKEYREJECTED: it had ended already.
  if (!revoked.ok() && revoked.error().code != EKEYREJECTED && revoked.error().code != ENOENT) {
    say(
        fmt::format("note: the token {} is forgotten here, but could not be revoked, and is valid "
                    "until {}: {}",
                    (*login)->token_id, (*login)->expires, revoked.error().message));
    return kSomethingToKnow;
  }
  say(fmt::format("{} is signed out of {}", (*login)->user, server.text()));
  return kDone;
}

int set_up(const CommandLine& line, const Client& client) {
  std::string code = line.code;
  if (code.empty()) {
    Result<std::string> asked = ask_secret("code of the daemon's log");
    if (!asked.ok()) return failed(asked.error());
    code = std::move(asked).value();
  }
  const Result<std::string> password = ask_new_secret("password of " + line.name);
  if (!password.ok()) return failed(password.error());
  const Result<json::object> user = object_of(client.ask(
      request_of("POST", {"api", "setup"},
                 json::object{{"code", code}, {"name", line.name}, {"password", *password}})));
  if (!user.ok()) return failed(user.error());
  if (line.json)
    print_document(*user);
  else
    say(fmt::format("{} is a user of the appliance now: {}", line.name, roles_text(*user)));
  if (client.server().kind != ServerAddress::Kind::kUnix) {
    say(fmt::format("next: hindsight --server {} login {}", client.server().text(), line.name));
  }
  return kDone;
}

int show_self(const CommandLine& line, const TimeZone& zone, const Client& client) {
  const Result<json::object> self = api::object_of_answer(client.get({"api", "session"}));
  if (!self.ok()) return failed(self.error());
  if (line.json) {
    print_document(*self);
    return kDone;
  }
  Fields fields;
  fields.add("user", text_of(*self, "user"));
  fields.add("roles", roles_text(*self));
  fields.add("may see data", may_see_data(*self) ? "yes" : "no");
  if (self->contains("expires")) fields.add("until", expiry_text(*self, zone));
  fields.add("server", client.server().text());
  print(fields.text());
  return kDone;
}

int change_own_password(const CommandLine& line, const Client& client) {
  const Result<std::string> present = ask_secret("present password");
  if (!present.ok()) return failed(present.error());
  const Result<std::string> wanted = ask_new_secret("new password");
  if (!wanted.ok()) return failed(wanted.error());
  const Result<json::object> changed = object_of(client.ask(request_of(
      "POST", {"api", "password"}, json::object{{"current", *present}, {"new", *wanted}})));
  if (!changed.ok()) return failed(changed.error());
  if (line.json)
    print_document(*changed);
  else
    say("the password is changed");
  return kDone;
}

}  // namespace

std::optional<int> run_session_verb(const CommandLine& line, const TimeZone& zone,
                                    const Client& client) {
  switch (line.verb) {
    case Verb::kSetup:
      return set_up(line, client);
    case Verb::kWhoami:
      return show_self(line, zone, client);
    case Verb::kUserPassword:
      return change_own_password(line, client);
    default:
      return std::nullopt;
  }
}

std::optional<int> run_access_verb(const CommandLine& line, const TimeZone& zone) {
  const bool is_access = line.verb >= Verb::kSetup && line.verb <= Verb::kTokenRevoke;
  if (!is_access) return std::nullopt;
  if (line.vault) {
    say("users and tokens are the daemon's: ask it, with --server, and not a vault");
    return kWrongUsage;
  }
  const auto refused = [](const cdp::Error& error) {
    say(error.message);
    return error.code == EINVAL ? kWrongUsage : kFailed;
  };
  if (line.verb == Verb::kLogin || line.verb == Verb::kLogout) {
    const Result<ServerAddress> server = api::parse_server_address(line.server);
    if (!server.ok()) return refused(server.error());
    return line.verb == Verb::kLogin ? log_in(line, zone, *server) : log_out(*server);
  }
  const Result<Client> client = make_client(line);
  if (!client.ok()) return refused(client.error());
  if (const std::optional<int> code = run_session_verb(line, zone, *client)) return code;
  return run_account_verb(line, zone, *client);
}

std::string roles_text(const json::object& document) {
  std::string text;
  const json::array* const roles = array_of(document, "roles");
  for (std::size_t i = 0; roles != nullptr && i < roles->size(); ++i) {
    if (!(*roles)[i].is_string()) continue;
    text += (text.empty() ? "" : ", ") + std::string{(*roles)[i].as_string()};
  }
  return text.empty() ? "no role" : text;
}

bool may_see_data(const json::object& document) {
  const json::value* const value = document.if_contains("sees_data");
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::string expiry_text(const json::object& document, const TimeZone& zone) {
  const json::value* const value = document.if_contains("expires");
  if (value == nullptr || value->is_null()) return "never";
  if (value->is_object()) return local_time_of(value->get_object(), zone);
  return local_time_of({{"time_utc", text_of(document, "expires")}}, zone);
}

}  // namespace tools::cli
