// SPDX-License-Identifier: Apache-2.0
//
// How one says who may do what: users, tokens, signing in, certificates, the audit.
#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "tools/cli/command_line_parts.h"
#include "tools/tls/certificate_authority.h"

namespace tools::cli {
namespace {

constexpr char kUserArgument[] = "The user's name";
constexpr char kPasswordNote[] =
    "A password is asked for on the terminal; where standard input is none, it is a line of that.";
constexpr char kRolesNote[] =
    "A viewer sees what there is and what happened; an operator makes and changes volumes, marks "
    "and\n"
    "clones; a restorer brings points back; an admin sees to users. What volumes hold is for "
    "those\n"
    "who may see data, whatever their roles.";
constexpr std::array<std::string_view, 4> kRoles = {"viewer", "operator", "restorer", "admin"};

void add_roles(CLI::App& verb, CommandLine& line, const char* without) {
  verb.add_option(
          "--role", line.roles,
          std::string{"viewer, operator, restorer or admin; as often as there are roles. "} +
              without)
      ->type_name("ROLE")
      ->allow_extra_args(false)
      ->check([](const std::string& role) -> std::string {
        if (std::find(kRoles.begin(), kRoles.end(), role) != kRoles.end()) return {};
        return "there is no role \"" + role + "\": viewer, operator, restorer, admin";
      });
}

void add_days(CLI::App& verb, CommandLine& line, const char* what) {
  verb.add_option("--days", line.days, what)
      ->type_name("N")
      ->check(CLI::Range(1, 3650).description(""));
}

void sees_data(CLI::App& verb, CommandLine& line) {
  verb.add_flag_callback(
      "--sees-data", [&line] { line.sees_data = true; },
      "May read what volumes hold: restore, view, clone");
}

void add_sessions(CLI::App& app, CommandLine& line) {
  CLI::App& setup = *app.add_subcommand("setup", "Make the first user of a new appliance");
  setup.add_option("NAME", line.name, "The first administrator")->required();
  setup
      .add_option("--code", line.code,
                  "The code that the daemon's log shows at the first start; else it is asked for")
      ->type_name("CODE");
  setup.footer(std::string{kPasswordNote} + "\nExample: hindsight setup alice");
  setup.callback([&line] { line.verb = Verb::kSetup; });

  CLI::App& login = *app.add_subcommand("login", "Sign in to another machine's daemon");
  login.add_option("USER", line.name, kUserArgument)->required();
  add_days(login, line, "How long the sign-in lasts (default 1)");
  login.footer(
      std::string{
          "A token is kept in ~/.config/hindsight/credentials.json, which other users must "
          "not read, and so\nis the CA of --ca; commands with the same --server use both. "} +
      kPasswordNote +
      "\nExample: hindsight --server https://vault.example:8443 login alice --ca ca.crt");
  login.callback([&line] { line.verb = Verb::kLogin; });

  CLI::App& logout = *app.add_subcommand("logout", "Revoke and forget the token of `login`");
  logout.callback([&line] { line.verb = Verb::kLogout; });

  CLI::App& whoami = *app.add_subcommand("whoami", "Show who the daemon takes you for");
  whoami.callback([&line] { line.verb = Verb::kWhoami; });
}

void add_users(CLI::App& app, CommandLine& line) {
  CLI::App& user =
      *app.add_subcommand("user", "create, list, change, remove, password: who may what");
  user.require_subcommand(1);

  CLI::App& create = *user.add_subcommand("create", "Make a user");
  create.add_option("NAME", line.name, kUserArgument)->required();
  add_roles(create, line, "Without one, viewer");
  sees_data(create, line);
  create.footer(std::string{kRolesNote} + "\n" + kPasswordNote +
                "\nExample: hindsight user create bob --role operator --role restorer --sees-data");
  create.callback([&line] { line.verb = Verb::kUserCreate; });

  CLI::App& list = *user.add_subcommand("list", "List the users");
  list.callback([&line] { line.verb = Verb::kUserList; });

  CLI::App& change = *user.add_subcommand("change", "Change what a user may, or the password");
  change.add_option("NAME", line.name, kUserArgument)->required();
  add_roles(change, line, "They take the place of those that the user has");
  sees_data(change, line);
  change.add_flag_callback(
      "--no-sees-data", [&line] { line.sees_data = false; },
      "May no longer read what volumes hold");
  change.add_flag("--password", line.change_password, "Set another password, which is asked for");
  change.footer(kPasswordNote);
  change.callback([&line, &change] {
    line.verb = Verb::kUserChange;
    if (change.count("--sees-data") > 0 && change.count("--no-sees-data") > 0) {
      throw CLI::ValidationError("--sees-data and --no-sees-data exclude each other");
    }
    if (line.roles.empty() && !line.sees_data && !line.change_password) {
      throw CLI::ValidationError(
          "say what to change: --role, --sees-data, --no-sees-data or --password");
    }
  });

  CLI::App& remove = *user.add_subcommand("remove", "Remove a user, with the user's tokens");
  remove.add_option("NAME", line.name, kUserArgument)->required();
  remove.callback([&line] { line.verb = Verb::kUserRemove; });

  CLI::App& password = *user.add_subcommand("password", "Change your own password");
  password.footer(
      "The present one is asked for, and the new one; where standard input is no terminal, they "
      "are\n"
      "two lines of that.");
  password.callback([&line] { line.verb = Verb::kUserPassword; });
}

void add_tokens(CLI::App& app, CommandLine& line) {
  CLI::App& token =
      *app.add_subcommand("token", "create, list, revoke: what programs sign in with");
  token.require_subcommand(1);

  CLI::App& create = *token.add_subcommand("create", "Make a token, and print it this once");
  create.add_option("LABEL", line.label, "What it is for")->required();
  add_roles(create, line, "Without one, all that you have");
  sees_data(create, line);
  add_days(create, line, "How long it is valid; else as long as the daemon has it");
  create.footer(
      "A token may no more than the user who makes it. A command takes it from HINDSIGHT_TOKEN.\n"
      "Example: hindsight token create nightly-report --role viewer --days 90");
  create.callback([&line] { line.verb = Verb::kTokenCreate; });

  CLI::App& list = *token.add_subcommand("list", "List the tokens");
  list.callback([&line] { line.verb = Verb::kTokenList; });

  CLI::App& revoke = *token.add_subcommand("revoke", "Make a token worthless, at once");
  revoke.add_option("ID", line.token_id, "As `token list` shows it")->required();
  revoke.callback([&line] { line.verb = Verb::kTokenRevoke; });
}

}  // namespace

std::uint64_t parse_lsn(const std::string& text) {
  constexpr std::string_view kPrefix = "lsn:";
  std::string_view digits = text;
  if (digits.starts_with(kPrefix)) digits.remove_prefix(kPrefix.size());
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (failed != std::errc{} || end != digits.data() + digits.size()) {
    throw CLI::ValidationError("an LSN is a number, such as lsn:1234, not \"" + text + "\"");
  }
  return number;
}

void add_access_verbs(CLI::App& app, CommandLine& line) {
  add_sessions(app, line);
  add_users(app, line);
  add_tokens(app, line);
}

void add_audit(CLI::App& app, CommandLine& line, std::string& before) {
  CLI::App& audit = *app.add_subcommand("audit", "Show who did what, the newest first");
  audit.add_option("--limit", line.limit, "At most so many entries")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""));
  audit.add_option("--before", before, "Those before an LSN only")->type_name("LSN");
  audit.callback([&line] { line.verb = Verb::kAudit; });
}

void add_tls_verbs(CLI::App& app, CommandLine& line) {
  CLI::App& tls =
      *app.add_subcommand("tls", "init, client: the appliance's own CA and certificates");
  tls.require_subcommand(1);
  line.tls_directory = tls::kDefaultDirectory;
  const auto add_directory = [&line](CLI::App& verb) {
    verb.add_option("--directory", line.tls_directory,
                    std::string{"Where the CA is (default "} + tls::kDefaultDirectory + ")")
        ->type_name("DIR");
  };

  CLI::App& init =
      *tls.add_subcommand("init", "Make the CA and the daemon's certificate, or renew the latter");
  add_directory(init);
  init.add_option("--name", line.host_names,
                  "A host name or IP address that clients connect to; as often as there are some. "
                  "Without one, those of the certificate that is renewed. This host's name and "
                  "those of loopback are always among them")
      ->type_name("HOST")
      ->allow_extra_args(false);
  add_days(init, line, "How long the daemon's certificate is valid (default 825)");
  init.footer(
      "Run on the appliance, as root; no daemon is needed. A CA that is there is kept, and so is "
      "the\n"
      "daemon's key; `systemctl reload hindsightd` takes a renewed certificate into use.\n"
      "Example: hindsight tls init --name vault.example --name 192.0.2.7");
  init.callback([&line] { line.verb = Verb::kTlsInit; });

  CLI::App& client =
      *tls.add_subcommand("client", "Make a certificate for a host that uses volumes");
  client.add_option("NAME", line.name, "1 to 64 of A-Z a-z 0-9 . _ -")->required();
  add_directory(client);
  add_days(client, line, "How long it is valid (default 825)");
  client.add_flag("--force", line.force, "Make another one where the host has one");
  client.footer(
      "The directory that it prints holds what QEMU, nbdcopy and others look for in the one of\n"
      "tls-certificates=: ca-cert.pem, client-cert.pem and client-key.pem.\n"
      "Example: hindsight tls client db1");
  client.callback([&line] { line.verb = Verb::kTlsClient; });
}

}  // namespace tools::cli
