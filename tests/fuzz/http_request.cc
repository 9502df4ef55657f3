// SPDX-License-Identifier: Apache-2.0
//
// What comes in on an HTTP connection. However the network cuts it into pieces it is the same
// requests, and ends with the same refusal: who could have it read in two ways could hide a request
// in another.
#include <boost/json/serialize.hpp>
#include <optional>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tools/daemon/rest/http_wire.h"
#include "tools/daemon/rest/request_head.h"

namespace {

struct Seen {
  std::vector<std::string> requests;
  unsigned refused = 0;       // the status; 0: it was not
  bool ends_in_body = false;  // more of it was awaited
};

std::string words_of(const tools::RequestReader& reader) {
  const auto request = reader.request();
  std::string words = reader.keeps_alive() ? "stays " : "goes ";
  if (!request) return words + request.error().message;
  words += request->method;
  for (const std::string& segment : request->path) words += "/" + segment;
  for (const auto& [name, value] : request->query) words += "?" + name + "=" + value;
  words += " " + boost::json::serialize(request->body);
  const auto& header = request->header;
  return words + header.host + "|" + header.authorization + "|" + header.cookie + "|" +
         header.csrf_token + "|" + header.origin + "|" + header.fetch_site + "|" +
         header.idempotency_key;
}

// As HttpServer does it, where `piece` bytes come at a time.
Seen read_in_pieces(std::string_view wire, std::size_t piece) {
  Seen seen;
  std::string received;
  const auto receive_more = [&] {
    const std::string_view more = wire.substr(0, piece);
    received += more;
    wire.remove_prefix(more.size());
    return !more.empty();
  };
  const auto refuse = [&](unsigned status) {
    CHECK(status >= 400 && status < 500);
    seen.refused = status;
    return seen;
  };
  const auto without_end = [&] {
    seen.ends_in_body = true;
    return seen;
  };
  for (;;) {
    tools::RequestReader reader;
    std::size_t looked_at = 0;
    for (;;) {
      const std::string_view window = std::string_view{received}.substr(0, tools::kMaxHeaderBytes);
      const auto head = tools::find_head_end(window, looked_at);
      if (!head) return refuse(400);
      if (*head) {
        const auto refusal = reader.take_head(std::string_view{received}.substr(0, **head));
        received.erase(0, **head);
        if (refusal) return refuse(refusal->status);
        break;
      }
      if (received.size() >= tools::kMaxHeaderBytes) return refuse(431);
      if (!receive_more()) return seen;
    }
    while (!reader.is_done()) {
      if (received.empty() && !receive_more()) return without_end();
      std::size_t taken = 0;
      const auto refusal = reader.take_body(received, taken);
      CHECK(taken <= received.size());
      received.erase(0, taken);
      if (refusal) return refuse(refusal->status);
      if (!reader.is_done() && !receive_more()) return without_end();
    }
    seen.requests.push_back(words_of(reader));
    if (!reader.keeps_alive()) return seen;
  }
}

}  // namespace

FUZZ_TARGET(http_request) {
  fuzz::Input in(input);
  const std::size_t piece = 1 + in.u8() % 7;
  const std::string wire = in.text_of_rest();
  const Seen whole = read_in_pieces(wire, wire.size() + 1);
  const Seen cut = read_in_pieces(wire, piece);
  CHECK(whole.requests == cut.requests);
  // The end of a body that is awaited may be known to be wrong sooner or later.
  CHECK(whole.refused == cut.refused || (whole.refused == 0 && whole.ends_in_body) ||
        (cut.refused == 0 && cut.ends_in_body));
}
