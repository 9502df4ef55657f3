// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/config/configuration.h"

#include <fmt/format.h>

#include <filesystem>

#include "cdp/io/socket.h"
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

namespace {

bool is_local(const std::string& listener) {
  const cdp::Result<cdp::SocketAddress> address = cdp::parse_socket_address(listener);
  return address.ok() && cdp::is_loopback(*address);
}

}  // namespace

// What there is to say against serving HTTP so.
std::vector<std::string> http_contradictions(const Configuration& configuration) {
  if (configuration.tls_certificate.empty() != configuration.tls_key.empty()) {
    return {"tls.certificate and tls.key go together: name both, or neither"};
  }
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
  if (!configuration.insecure) {
    for (const std::string& text : configuration.nbd_listeners()) {
      if (is_local(text)) continue;
      sentences.push_back(fmt::format(
          "{} is not a loopback address, and NBD would travel there in clear: serve a unix socket "
          "or 127.0.0.1, or say --insecure",
          text));
    }
  }
  for (std::string& sentence : http_contradictions(configuration)) {
    sentences.push_back(std::move(sentence));
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
