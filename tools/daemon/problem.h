// SPDX-License-Identifier: Apache-2.0
//
// Errors on the REST API: problem details (RFC 9457), one map from errno to HTTP status.
#pragma once

#include "cdp/base/result.h"
#include "tools/daemon/http_server.h"

namespace tools {

// {"type":"about:blank","title":"Conflict","status":409,"detail":"<the error's sentence>"}
HttpResponse problem_response(const cdp::Error& error);

}  // namespace tools
