// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/tls_verbs.h"

#include <fmt/ranges.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "tools/cli/output.h"
#include "tools/cli/table.h"
#include "tools/cli/verb_support.h"
#include "tools/cli/verbs.h"
#include "tools/tls/certificate.h"
#include "tools/tls/certificate_authority.h"

namespace tools::cli {
namespace {

namespace json = boost::json;
using cdp::Result;
using tls::Issued;

int refused(const cdp::Error& error) {
  say(error.message);
  return error.code == EINVAL ? kWrongUsage : kFailed;
}

json::object document_of(const Issued& issued) {
  json::array names;
  for (const std::string& name : issued.names) names.emplace_back(name);
  return {{"directory", issued.directory},
          {"names", std::move(names)},
          {"not_after_utc", tls::moment_text(issued.not_after)},
          {"fingerprint_sha256", issued.fingerprint},
          {"ca_fingerprint_sha256", issued.authority_fingerprint},
          {"made_ca", issued.made_authority}};
}

int init(const CommandLine& line) {
  const Result<Issued> issued = tls::issue_server(
      {line.tls_directory, line.host_names, line.days.value_or(tls::kDefaultDays)});
  if (!issued.ok()) return refused(issued.error());
  if (line.json) {
    print_document(document_of(*issued));
  } else {
    const std::string prefix = issued->directory + "/";
    Fields fields;
    fields.add("CA", prefix + "ca.crt");
    fields.add("its SHA-256", issued->authority_fingerprint);
    fields.add("certificate", prefix + "server.crt");
    fields.add("key", prefix + "server.key");
    fields.add("for", fmt::format("{}", fmt::join(issued->names, ", ")));
    fields.add("valid until", tls::moment_text(issued->not_after));
    print(fields.text());
  }
  say(issued->made_authority
          ? "a CA was made; whoever has its key, ca.key, can pose as the appliance and as any "
            "client"
          : "the CA was kept, and the daemon's certificate renewed: `systemctl reload hindsightd` "
            "takes it into use");
  if (issued->made_authority) {
    say(
        fmt::format("next: copy {0}/ca.crt to who will sign in, for `hindsight --server "
                    "https://{1}:PORT login USER --ca ca.crt`",
                    issued->directory, issued->names.front()));
  }
  return kDone;
}

int client(const CommandLine& line) {
  const Result<Issued> issued = tls::issue_client(
      {line.tls_directory, line.name, line.days.value_or(tls::kDefaultDays), line.force});
  if (!issued.ok()) return refused(issued.error());
  if (line.json) {
    print_document(document_of(*issued));
  } else {
    Fields fields;
    fields.add("directory", issued->directory);
    fields.add("files", "ca-cert.pem client-cert.pem client-key.pem");
    fields.add("its SHA-256", issued->fingerprint);
    fields.add("valid until", tls::moment_text(issued->not_after));
    print(fields.text());
  }
  say(fmt::format("next: scp -r {} root@{}:/etc/hindsight-tls", issued->directory, line.name));
  say(fmt::format(
      "and give it a volume: clients = [\"{} live VOLUME\"] below [nbd] in the file of "
      "/etc/hindsight/hindsight.toml.d that has clients, or in a new one NAME.toml; then "
      "systemctl reload hindsightd",
      line.name));
  return kDone;
}

}  // namespace

std::optional<int> run_tls_verb(const CommandLine& line) {
  switch (line.verb) {
    case Verb::kTlsInit:
      return init(line);
    case Verb::kTlsClient:
      return client(line);
    default:
      return std::nullopt;
  }
}

}  // namespace tools::cli
