// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/problem.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace tools {
namespace {

struct StatusOf {
  int code;
  unsigned status;
};

constexpr StatusOf kStatuses[] = {
    {EINVAL, 400},    {ERANGE, 400}, {EKEYREJECTED, 401},  // who asks is not known
    {EPERM, 403},     {EACCES, 403}, {ENOENT, 404},       {EOPNOTSUPP, 405},
    {EEXIST, 409},    {EBUSY, 409},  {ENOTUNIQ, 409},  // a time that a clock step made ambiguous
    {EDQUOT, 429},                                     // too often
    {ESHUTDOWN, 503}, {ENOSPC, 507},
};
constexpr unsigned kOtherStatus = 500;

struct TitleOf {
  unsigned status;
  std::string_view title;
};

constexpr TitleOf kTitles[] = {
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

}  // namespace

HttpResponse problem_response(const cdp::Error& error) {
  unsigned status = kOtherStatus;
  for (const StatusOf& candidate : kStatuses) {
    if (candidate.code == error.code) status = candidate.status;
  }
  return problem_response(status, error.message);
}

HttpResponse problem_response(unsigned status, std::string_view detail) {
  std::string_view title;
  for (const TitleOf& candidate : kTitles) {
    if (candidate.status == status) title = candidate.title;
  }
  HttpResponse response;
  response.status = status;
  response.problem = detail;
  response.content_type = "application/problem+json";
  response.body = boost::json::serialize(boost::json::object{
      {"type", "about:blank"}, {"title", title}, {"status", status}, {"detail", detail}});
  return response;
}

}  // namespace tools
