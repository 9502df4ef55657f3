// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/problem.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace tools {
namespace {

struct StatusOf {
  int code;
  unsigned status;
  const char* title;
};

constexpr StatusOf kStatuses[] = {
    {EINVAL, 400, "Bad Request"},
    {ERANGE, 400, "Bad Request"},
    {EPERM, 403, "Forbidden"},
    {EACCES, 403, "Forbidden"},
    {ENOENT, 404, "Not Found"},
    {EOPNOTSUPP, 405, "Method Not Allowed"},
    {EEXIST, 409, "Conflict"},
    {EBUSY, 409, "Conflict"},
    {ENOTUNIQ, 409, "Conflict"},  // a time that a clock step made ambiguous
    {ESHUTDOWN, 503, "Service Unavailable"},
    {ENOSPC, 507, "Insufficient Storage"},
};
constexpr StatusOf kOtherStatus = {EIO, 500, "Internal Server Error"};

}  // namespace

HttpResponse problem_response(const cdp::Error& error) {
  StatusOf found = kOtherStatus;
  for (const StatusOf& candidate : kStatuses) {
    if (candidate.code == error.code) found = candidate;
  }
  const boost::json::object document{{"type", "about:blank"},
                                     {"title", found.title},
                                     {"status", found.status},
                                     {"detail", error.message}};
  return {found.status, "application/problem+json", boost::json::serialize(document), nullptr};
}

}  // namespace tools
