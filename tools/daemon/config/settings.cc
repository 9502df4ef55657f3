// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/config/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <numeric>
#include <utility>

#include "cdp/io/socket.h"
#include "tools/api/size.h"
#include "tools/daemon/tls/client_rights.h"

namespace tools {
namespace {

using cdp::make_error;
using cdp::Result;
using cdp::Status;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
constexpr std::uint64_t kTiB = std::uint64_t{1} << 40;
constexpr std::string_view kTcpPrefix = "tcp:";

// --- What is possible ---------------------------------------------------------------------------

// What the daemon goes by must not depend on where it was started.
Result<std::string> absolute_path(const std::string& path) {
  if (path.empty()) return make_error(EINVAL, "it wants a path, not an empty text");
  if (path.find('\0') != std::string::npos) return make_error(EINVAL, "no path has a NUL in it");
  if (!path.starts_with('/')) {
    return make_error(EINVAL, "\"{}\" must be a path from the root on", path);
  }
  const std::string normal = std::filesystem::path{path}.lexically_normal().string();
  return normal.size() > 1 && normal.ends_with('/') ? normal.substr(0, normal.size() - 1) : normal;
}

Result<std::string> listener(const std::string& text) {
  Result<cdp::SocketAddress> address = cdp::parse_socket_address(text);
  if (!address) return std::move(address).error();
  if (address->kind == cdp::SocketAddress::Kind::kUnix) {
    Result<std::string> path = absolute_path(address->path);
    if (!path) return path;
    address->path = *std::move(path);
  }
  return address->text();
}

Result<std::string> listener_or_none(const std::string& text) {
  return text.empty() ? Result<std::string>{text} : listener(text);
}

// As it is written in URLs; as socket addresses are written, too.
Result<std::string> http_listener_or_none(const std::string& text) {
  if (text.empty()) return text;
  if (text.starts_with("unix:")) {
    return make_error(EINVAL, "it takes HOST:PORT, not {}: the API is on the control socket", text);
  }
  const std::string address = text.starts_with(kTcpPrefix) ? text : std::string{kTcpPrefix} + text;
  Result<std::string> checked = listener(address);
  if (!checked) return make_error(EINVAL, "it takes HOST:PORT: {}", checked.error().message);
  return checked->substr(kTcpPrefix.size());
}

Result<std::string> tls_mode(const std::string& text) {
  if (text.empty() || text == "off" || text == "require") return text;
  return make_error(EINVAL, "it is \"require\", \"off\" or empty, not \"{}\"", text);
}

Result<std::string> log_format(const std::string& text) {
  if (text == "text" || text == "json") return text;
  return make_error(EINVAL, "it is \"text\" or \"json\", not \"{}\"", text);
}

Result<std::string> path_or_none(const std::string& path) {
  return path.empty() ? Result<std::string>{path} : absolute_path(path);
}

Result<std::string> web_address_or_none(const std::string& text) {
  const bool is_web = text.starts_with("http://") || text.starts_with("https://");
  const bool is_plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (text.empty() || (is_web && is_plain)) return text;
  return make_error(EINVAL, "it wants a URL: https://HOST/PATH");
}

Result<std::string> time_limit(const std::string& text) {
  const Result<cdp::Nanos> length = parse_length(text);
  if (!length) return length.error();
  if (*length < cdp::seconds(1) || *length > cdp::seconds(7 * 86400))
    return make_error(EINVAL, "{} is not between 1s and 168h", text);
  return text;
}

Result<std::string> objective(const std::string& text) {
  const Result<cdp::Nanos> length = parse_length(text);
  if (!length) return length.error();
  if (*length > cdp::seconds(86400)) return make_error(EINVAL, "{} is more than 24h", text);
  return text;
}

Result<std::string> unix_listener(const std::string& text) {
  if (!text.starts_with("unix:")) return make_error(EINVAL, "it takes unix:PATH, not {}", text);
  return listener(text);
}

// --- Kinds of settings: how the field of a configuration is set, and read -----------------------

using Check = Result<std::string> (*)(const std::string&);

Setting text(std::string_view key, std::string Configuration::*field, Check check) {
  const auto set = [field, check](Configuration& into, const SettingValue& value) -> Status {
    const auto* const said = std::get_if<std::string>(&value);
    if (said == nullptr) return make_error(EINVAL, "it wants one text, in quotes");
    Result<std::string> checked = check(*said);
    if (!checked) return std::move(checked).error();
    into.*field = *std::move(checked);
    return {};
  };
  const auto get = [field](const Configuration& of) { return SettingValue{of.*field}; };
  return {.key = key, .set = set, .get = get, .in_force = get};
}

Setting texts(std::string_view key, std::vector<std::string> Configuration::*field, Check check) {
  const auto set = [field, check](Configuration& into, const SettingValue& value) -> Status {
    const auto* const said = std::get_if<std::vector<std::string>>(&value);
    if (said == nullptr) {
      return make_error(EINVAL, "it wants a list of texts, such as [\"one\", \"another\"]");
    }
    std::vector<std::string> taken;
    for (const std::string& each : *said) {
      Result<std::string> checked = check(each);
      if (!checked) return std::move(checked).error();
      taken.push_back(*std::move(checked));
    }
    into.*field = std::move(taken);
    return {};
  };
  const auto get = [field](const Configuration& of) { return SettingValue{of.*field}; };
  return {.key = key, .kind = Setting::Kind::kSeveral, .set = set, .get = get, .in_force = get};
}

Setting flag(std::string_view key, bool Configuration::*field) {
  const auto set = [field](Configuration& into, const SettingValue& value) -> Status {
    const bool* const said = std::get_if<bool>(&value);
    if (said == nullptr) return make_error(EINVAL, "it is true or false");
    into.*field = *said;
    return {};
  };
  const auto get = [field](const Configuration& of) { return SettingValue{of.*field}; };
  return {.key = key, .kind = Setting::Kind::kFlag, .set = set, .get = get, .in_force = get};
}

struct Bounds {
  std::uint64_t least;
  std::uint64_t most;
  bool or_zero = false;
};

// In a file a text such as "64M", or a whole number of bytes.
Setting size(std::string_view key, std::uint64_t Configuration::*field, Bounds bounds) {
  const auto set = [field, bounds](Configuration& into, const SettingValue& value) -> Status {
    if (!std::holds_alternative<std::int64_t>(value) &&
        !std::holds_alternative<std::string>(value)) {
      return make_error(EINVAL, "it wants a size such as \"64M\"");
    }
    const std::string said = to_text(value);
    const Result<std::uint64_t> bytes = api::parse_size(said);
    if (!bytes) return bytes.error();
    const bool is_within = *bytes >= bounds.least && *bytes <= bounds.most;
    if (!is_within && !(bounds.or_zero && *bytes == 0)) {
      return make_error(EINVAL, "{} is not between {} and {}{}", said,
                        api::exact_size(bounds.least), api::exact_size(bounds.most),
                        bounds.or_zero ? ", nor 0" : "");
    }
    into.*field = *bytes;
    return {};
  };
  const auto get = [field](const Configuration& of) {
    return of.*field == 0 ? SettingValue{std::int64_t{0}}
                          : SettingValue{api::exact_size(of.*field)};
  };
  return {.key = key, .set = set, .get = get, .in_force = get};
}

struct Description {
  std::string_view option{};
  std::string_view value_name{};
  std::string_view meaning;
  Setting::Change change = Setting::Change::kAtStart;
  bool is_path = false;
  bool is_secret = false;
};

template <typename Resolve>
Setting resolved(Setting setting, Resolve resolve) {
  setting.in_force = [resolve](const Configuration& of) { return SettingValue{(of.*resolve)()}; };
  return setting;
}

Setting described(Setting setting, Description as) {
  setting.option = as.option;
  setting.value_name = as.value_name;
  setting.meaning = as.meaning;
  setting.change = as.change;
  setting.is_path = as.is_path;
  setting.is_secret = as.is_secret;
  return setting;
}

// Those of one table stand together.
std::vector<Setting> make_settings() {
  constexpr auto kLive = Setting::Change::kLive;
  return {
      described(text("vault", &Configuration::vault, absolute_path),
                {.option = "--vault",
                 .value_name = "DIR",
                 .meaning = "Directory of the journal. It belongs on other disks than the volumes: "
                            "what destroys one must not destroy the other.",
                 .is_path = true}),
      described(text("state", &Configuration::state, absolute_path),
                {.option = "--state",
                 .value_name = "DIR",
                 .meaning = "Directory of everything else: backing files of volumes, sockets.",
                 .is_path = true}),
      described(texts("allowed_paths", &Configuration::allowed_paths, absolute_path),
                {.meaning = "Directories and devices: a backing store that an operator names must "
                            "lie in one of them, links followed. Whatever this says, none may lie "
                            "in the vault, be another volume's, or be in use or mounted.",
                 .change = kLive,
                 .is_path = true}),
      described(flag("insecure", &Configuration::insecure),
                {.option = "--insecure",
                 .meaning = "Serve NBD and HTTP beyond loopback although what has no TLS is not "
                            "encrypted."}),
      described(resolved(texts("nbd.listen", &Configuration::nbd_listen, listener),
                         &Configuration::nbd_listeners),
                {.option = "--nbd",
                 .value_name = "unix:PATH|tcp:HOST:PORT",
                 .meaning = "Where to serve NBD; unix:STATE/nbd.sock where none is named."}),
      described(
          text("nbd.tls", &Configuration::nbd_tls, tls_mode),
          {.meaning = "Whether NBD by TCP is by TLS alone: \"require\" or \"off\". Where it is "
                      "empty, it is required as soon as clients can prove who they are: "
                      "where there are a certificate and tls.client_ca, or nbd.psk_file. "
                      "Unix sockets offer what TCP requires. Off and beyond loopback goes "
                      "with --insecure only."}),
      described(text("nbd.psk_file", &Configuration::nbd_psk_file, path_or_none),
                {.meaning = "Keys that NBD clients may prove their name by instead of by a "
                            "certificate: lines of NAME:KEY in hexadecimal digits, as QEMU's "
                            "tls-creds-psk and libnbd take them. SIGHUP has them read again.",
                 .change = kLive,
                 .is_path = true}),
      described(
          texts("nbd.clients", &Configuration::nbd_clients, check_client_right),
          {.meaning = "What NBD clients by TLS may have: \"NAME live VOLUME\" or \"NAME views "
                      "VOLUME\". NAME is the common name of a client's certificate or that "
                      "of its key; VOLUME the name of a volume or a clone, id:UUID, or * for "
                      "all. live is the writable export, views are its points, read-only. "
                      "Whoever is not named has nothing. Unix sockets without TLS give "
                      "everything to whoever may open them.",
           .change = kLive}),
      described(resolved(text("control.listen", &Configuration::control_listen, unix_listener),
                         &Configuration::control_listener),
                {.option = "--control",
                 .value_name = "unix:PATH",
                 .meaning = "The control socket; unix:STATE/control.sock where none is named. The "
                            "command line speaks to it."}),
      described(text("http.listen", &Configuration::http_listen, http_listener_or_none),
                {.option = "--http",
                 .value_name = "HOST:PORT",
                 .meaning = "Where to serve the API over the network: by HTTPS where there is a "
                            "certificate; nowhere where empty. An IPv6 host stands in brackets."}),
      described(resolved(text("tls.certificate", &Configuration::tls_certificate, path_or_none),
                         &Configuration::certificate_path),
                {.meaning = "The daemon's certificate in PEM, with those between it and its "
                            "authority; STATE/tls/server.crt where none is named and there is "
                            "one. SIGHUP has a renewed one taken.",
                 .change = kLive,
                 .is_path = true}),
      described(resolved(text("tls.key", &Configuration::tls_key, path_or_none),
                         &Configuration::key_path),
                {.meaning = "The key of that certificate in PEM, without a passphrase; "
                            "STATE/tls/server.key where none is named.",
                 .change = kLive,
                 .is_path = true}),
      described(resolved(text("tls.client_ca", &Configuration::tls_client_ca, path_or_none),
                         &Configuration::client_ca_path),
                {.meaning = "The authority of NBD clients' certificates in PEM; STATE/tls/ca.crt "
                            "where none is named and there is one.",
                 .change = kLive,
                 .is_path = true}),
      described(text("metrics.listen", &Configuration::metrics_listen, listener_or_none),
                {.option = "--metrics",
                 .value_name = "unix:PATH|tcp:HOST:PORT",
                 .meaning = "Where Prometheus may scrape /metrics, and others ask /healthz and "
                            "/readyz; nowhere where empty. Nobody has to sign in there."}),
      described(flag("metrics.insecure", &Configuration::metrics_insecure),
                {.meaning = "Let metrics.listen be an address beyond loopback."}),
      described(text("alerts.webhook", &Configuration::alerts_webhook, web_address_or_none),
                {.meaning = "URL that is told by POST of JSON when an alert begins, lasts another "
                            "hour, or is over; nobody is where empty. It may hold a secret, and "
                            "no log shows it.",
                 .change = kLive,
                 .is_secret = true}),
      described(text("alerts.rpo", &Configuration::alerts_rpo, objective),
                {.meaning = "The recovery point objective: there is an alert where a crash of the "
                            "appliance would lose writes older than so, as 5s or 2m; 0s is none.",
                 .change = kLive}),
      described(size("memory.dirty_budget", &Configuration::dirty_budget_bytes,
                     {.least = 16 * kMiB, .most = kTiB}),
                {.option = "--dirty-budget",
                 .value_name = "SIZE",
                 .meaning = "Memory for writes on their way to the backing stores."}),
      described(size("memory.dedup", &Configuration::dedup_bytes, {.least = kMiB, .most = kTiB}),
                {.option = "--dedup-memory",
                 .value_name = "SIZE",
                 .meaning = "Memory for finding duplicates: three quarters for recent blocks, a "
                            "quarter for old ones, which needs 10 MiB for 256 GiB of history."}),
      described(size("journal.segment_size", &Configuration::segment_bytes,
                     {.least = 20 * kMiB, .most = kGiB}),
                {.option = "--segment-size",
                 .value_name = "SIZE",
                 .meaning = "Length of a journal segment."}),
      described(
          size("hydration.rate", &Configuration::hydration_bytes_per_second,
               {.least = kMiB, .most = kTiB, .or_zero = true}),
          {.option = "--hydration-rate",
           .value_name = "SIZE",
           .meaning = "Bytes a second that hydration may copy, of each volume; 0 is no limit.",
           .change = kLive}),
      described(text("check.socket", &Configuration::check_socket, path_or_none),
                {.meaning = "Where hindsight-check is started for each check of a point "
                            "(hindsight-check.socket); no point is checked where empty.",
                 .change = kLive,
                 .is_path = true}),
      described(
          text("check.time_limit", &Configuration::check_time_limit, time_limit),
          {.meaning = "How long a check of a point may take, as 90s, 30m or 2h.", .change = kLive}),
      described(flag("log.verbose", &Configuration::verbose),
                {.option = "-v,--verbose",
                 .meaning = "Log connections and requests too.",
                 .change = kLive}),
      described(text("log.format", &Configuration::log_format, log_format),
                {.meaning = "\"text\" for people, or \"json\": an object a line, for what "
                            "gathers logs.",
                 .change = kLive}),
  };
}

// --- Names --------------------------------------------------------------------------------------

// How many letters have to be changed, added or removed.
std::size_t edits_between(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::size_t kept = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({kept, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string_view behind_dot(std::string_view key) { return key.substr(key.rfind('.') + 1); }

}  // namespace

std::string Setting::variable() const {
  std::string name(kVariablePrefix);
  for (const char c : key) {
    name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

const std::vector<Setting>& settings() {
  static const std::vector<Setting> all = make_settings();
  return all;
}

const Setting* find_setting(std::string_view key) {
  const auto found = std::find_if(settings().begin(), settings().end(),
                                  [&](const Setting& setting) { return setting.key == key; });
  return found == settings().end() ? nullptr : &*found;
}

Result<cdp::Nanos> parse_length(std::string_view text) {
  std::int64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data(), end, count);
  const std::string_view unit = text.substr(static_cast<std::size_t>(at - text.data()));
  const std::int64_t seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  constexpr std::int64_t kCountMax = 1'000'000;
  if (failed != std::errc{} || seconds == 0 || count < 0 || count > kCountMax)
    return make_error(EINVAL, "\"{}\" is no time: write 90s, 30m or 2h", text);
  return cdp::seconds(count * seconds);
}

std::string_view nearest_key(std::string_view wrong) {
  constexpr std::size_t kLongestKey = 64;
  if (wrong.size() > kLongestKey) return {};
  std::string_view nearest;
  // Two letters, or a third of them in a longer one: beyond that it is another word.
  std::size_t best = std::max<std::size_t>(2, wrong.size() / 3) + 1;
  for (const Setting& setting : settings()) {
    // Perhaps it is the right name in the wrong table.
    const std::size_t edits =
        std::min(edits_between(wrong, setting.key),
                 edits_between(behind_dot(wrong), behind_dot(setting.key)) + 1);
    if (edits < best) {
      best = edits;
      nearest = setting.key;
    }
  }
  return nearest;
}

SettingValue value_of_text(const Setting& setting, const std::string& text) {
  if (setting.kind == Setting::Kind::kFlag) {
    if (text == "true" || text == "1" || text == "yes") return true;
    if (text == "false" || text == "0" || text == "no") return false;
    return text;  // which its setter refuses
  }
  if (setting.kind == Setting::Kind::kOne) return text;
  std::vector<std::string> texts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    texts.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return texts;
}

std::string to_text(const SettingValue& value) {
  if (const auto* const texts = std::get_if<std::vector<std::string>>(&value)) {
    return fmt::format("{}", fmt::join(*texts, ", "));
  }
  if (const auto* const text = std::get_if<std::string>(&value)) return *text;
  if (const auto* const number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  return std::get<bool>(value) ? "true" : "false";
}

}  // namespace tools
