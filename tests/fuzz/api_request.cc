// SPDX-License-Identifier: Apache-2.0
//
// What the operations of the API take: which one (1), a body of JSON, and behind a first zero byte
// the value of each of the query's parameters. What is taken has all that is required, and nothing
// that was not said.
#include <boost/json/parse.hpp>

#include "tests/fuzz/fuzz.h"
#include "tools/daemon/rest/operations.h"

FUZZ_TARGET(api_request) {
  fuzz::Input in(input);
  const tools::Operation& operation = tools::operations()[in.u8() % tools::operations().size()];
  const std::string text = in.text_of_rest();
  const std::size_t end = std::min(text.find('\0'), text.size());
  tools::HttpRequest request;
  boost::system::error_code error;
  request.body = boost::json::parse({text.data(), end}, error);
  if (error) request.body = nullptr;
  const std::string value = end < text.size() ? text.substr(end + 1) : std::string();
  for (const tools::Parameter& parameter : operation.query) {
    if (!value.empty()) request.query[std::string(parameter.name)] = value;
  }
  if (!value.empty() && operation.query.empty()) request.query["tz"] = value;
  // A segment for each of the operation's, whatever it is called.
  const auto slashes = std::count(operation.path.begin(), operation.path.end(), '/');
  request.path.assign(static_cast<std::size_t>(slashes), "shop");

  const auto call = operation.parse(request, {});
  if (!call.ok()) {
    CHECK(call.error().code == EINVAL || call.error().code == ENOENT);
    CHECK(call.error().message.size() > 10);
    return;
  }
  const boost::json::object* const body = request.body.if_object();
  for (const tools::Parameter& parameter : operation.query) {
    CHECK(call->arguments.has(parameter.name) == !value.empty());
  }
  for (const tools::Parameter& parameter : operation.body) {
    const bool is_said = body != nullptr && body->contains(parameter.name);
    CHECK(call->arguments.has(parameter.name) == is_said && (is_said || !parameter.required));
    if (is_said && (parameter.kind == tools::Parameter::Kind::kSize ||
                    parameter.kind == tools::Parameter::Kind::kCount)) {
      const boost::json::value& said = body->at(parameter.name);
      CHECK(said.to_number<std::uint64_t>() == call->arguments.get<std::uint64_t>(parameter.name));
    }
  }
  if (body != nullptr) CHECK(body->size() <= operation.body.size());
}
