// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/config/configuration.h"

#include <fmt/format.h>

#include <filesystem>

#include "cdp/io/socket.h"
#include "tools/daemon/config/settings.h"
#include "tools/daemon/tls/tls_context.h"

namespace tools {

std::vector<std::string> Configuration::nbd_listeners() const {
  if (!nbd_listen.empty()) return nbd_listen;
  return {"unix:" + state + "/nbd.sock"};
}

std::string Configuration::control_listener() const {
  return control_listen.empty() ? "unix:" + state + "/control.sock" : control_listen;
}

std::string Configuration::http_listener() const {
  return http_listen.empty() ? "" : "tcp:" + http_listen;
}

std::string Configuration::certificate_path() const {
  return tls_certificate.empty() ? state + "/tls/server.crt" : tls_certificate;
}

std::string Configuration::key_path() const {
  return tls_key.empty() ? state + "/tls/server.key" : tls_key;
}

// One without the other is somebody's mistake, and not a reason to serve in clear.
bool Configuration::has_certificate() const {
  std::error_code error;
  return !tls_certificate.empty() || std::filesystem::exists(certificate_path(), error) ||
         std::filesystem::exists(key_path(), error) || error;
}

std::string Configuration::client_ca_path() const {
  return tls_client_ca.empty() ? state + "/tls/ca.crt" : tls_client_ca;
}

NbdTlsFiles Configuration::nbd_tls_files() const {
  NbdTlsFiles files;
  std::error_code error;
  const bool has_authority =
      !tls_client_ca.empty() || std::filesystem::exists(client_ca_path(), error) || error;
  if (has_certificate() && has_authority) {
    files.certificate = certificate_path();
    files.key = key_path();
    files.client_authority = client_ca_path();
  }
  files.preshared_keys = nbd_psk_file;
  return files;
}

bool Configuration::nbd_has_tls() const {
  return nbd_tls != "off" && nbd_tls_files() != NbdTlsFiles{};
}

bool Configuration::nbd_requires_tls() const { return nbd_tls == "require" || nbd_has_tls(); }

namespace {

bool is_local(const std::string& listener) {
  const cdp::Result<cdp::SocketAddress> address = cdp::parse_socket_address(listener);
  return address.ok() && cdp::is_loopback(*address);
}

}  // namespace

// What there is to say against serving HTTP so.
std::vector<std::string> http_contradictions(const Configuration& configuration) {
  if (configuration.http_listen.empty()) return {};
  if (configuration.has_certificate()) {
    const auto opened =
        open_tls_context(configuration.certificate_path(), configuration.key_path());
    if (opened.ok()) return {};
    return {opened.error().message};
  }
  if (configuration.insecure || is_local(configuration.http_listener())) return {};
  return {fmt::format(
      "{} is not a loopback address, and HTTP would travel there in clear: make a certificate with "
      "`hindsight tls init`, name one with tls.certificate and tls.key, or say --insecure",
      configuration.http_listen)};
}

// And NBD.
std::vector<std::string> nbd_contradictions(const Configuration& configuration) {
  if (configuration.nbd_has_tls()) {
    const auto opened = open_nbd_tls_context(configuration.nbd_tls_files());
    if (opened.ok()) return {};
    return {opened.error().message};
  }
  if (configuration.nbd_requires_tls()) {
    return {fmt::format(
        "nbd.tls requires what there is not: make a certificate with `hindsight tls init`, name "
        "one with tls.certificate, tls.key and tls.client_ca ({} is not there), or keys with "
        "nbd.psk_file",
        configuration.client_ca_path())};
  }
  std::vector<std::string> sentences;
  if (configuration.nbd_tls.empty() && !configuration.nbd_clients.empty()) {
    sentences.push_back(fmt::format(
        "nbd.clients says who may have what, and nobody can prove who he is: make a certificate "
        "with `hindsight tls init` ({} is not there, or that of the daemon), or name keys with "
        "nbd.psk_file",
        configuration.client_ca_path()));
  }
  if (configuration.insecure) return sentences;
  for (const std::string& text : configuration.nbd_listeners()) {
    if (is_local(text)) continue;
    sentences.push_back(fmt::format(
        "{} is not a loopback address, and NBD would travel there in clear{}: make a certificate "
        "with `hindsight tls init`, serve a unix socket or 127.0.0.1, or say --insecure",
        text, configuration.nbd_tls == "off" ? ", as nbd.tls is off" : ""));
  }
  return sentences;
}

cdp::Nanos Configuration::rpo_objective() const {
  return cdp::value_or_throw(parse_length(alerts_rpo));
}

cdp::Nanos Configuration::check_time() const {
  return cdp::value_or_throw(parse_length(check_time_limit));
}

std::vector<std::string> contradictions(const Configuration& configuration) {
  std::vector<std::string> sentences;
  if (configuration.vault == configuration.state) {
    sentences.emplace_back(
        "the vault and the state must be two directories, on different disks at best");
  }
  std::vector<std::string> listeners = configuration.nbd_listeners();
  listeners.push_back(configuration.control_listener());
  for (const std::string& text : listeners) {
    const cdp::Result<cdp::SocketAddress> address = cdp::parse_socket_address(text);
    if (!address.ok()) sentences.push_back(address.error().message);
  }
  if (!sentences.empty()) return sentences;
  if (configuration.tls_certificate.empty() != configuration.tls_key.empty()) {
    sentences.emplace_back("tls.certificate and tls.key go together: name both, or neither");
    return sentences;
  }
  for (auto* const check : {nbd_contradictions, http_contradictions}) {
    for (std::string& sentence : check(configuration)) sentences.push_back(std::move(sentence));
  }
  const std::string& metrics = configuration.metrics_listen;
  if (!metrics.empty() && !configuration.metrics_insecure && !is_local(metrics)) {
    sentences.push_back(fmt::format(
        "{} is not a loopback address, and anybody could read there which volumes there are and "
        "what they do: let a proxy ask 127.0.0.1, or set metrics.insecure",
        metrics));
  }
  return sentences;
}

}  // namespace tools
