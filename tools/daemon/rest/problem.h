// SPDX-License-Identifier: Apache-2.0
//
// Errors on the REST API: problem details (RFC 9457), one map from errno to HTTP status.
#pragma once

#include <string_view>

#include "cdp/base/result.h"
#include "tools/daemon/rest/http_message.h"

namespace tools {

// {"type":"about:blank","title":"Conflict","status":409,"detail":"<the error's sentence>"}
HttpResponse problem_response(const cdp::Error& error);
// Of an HTTP status itself, where no error of ours stands for it.
HttpResponse problem_response(unsigned status, std::string_view detail);

}  // namespace tools
