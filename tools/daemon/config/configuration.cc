// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/config/configuration.h"

#include <fmt/format.h>

#include "cdp/io/socket.h"

namespace tools {

std::vector<std::string> Configuration::nbd_listeners() const {
  if (!nbd_listen.empty()) return nbd_listen;
  return {"unix:" + state + "/nbd.sock"};
}

std::string Configuration::control_listener() const {
  return control_listen.empty() ? "unix:" + state + "/control.sock" : control_listen;
}

namespace {

bool is_local(const std::string& listener) {
  const cdp::Result<cdp::SocketAddress> address = cdp::parse_socket_address(listener);
  return address.ok() && cdp::is_loopback(*address);
}

}  // namespace

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
  if (!configuration.nbd_insecure) {
    for (const std::string& text : configuration.nbd_listeners()) {
      if (is_local(text)) continue;
      sentences.push_back(fmt::format(
          "{} is not a loopback address, and NBD would travel there in clear: serve a unix socket "
          "or 127.0.0.1, or say --insecure",
          text));
    }
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
