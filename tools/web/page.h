// SPDX-License-Identifier: Apache-2.0
//
// The administrator's page, served from inside the program: its files, and what a browser that asks
// for one of them is answered. There is nothing in them that anybody may not see; what they show
// comes from the API.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "tools/daemon/rest/http_message.h"

namespace tools {

struct PageFile {
  std::string_view path{};  // "assets/index-BHeLogAS.js"
  std::string_view bytes{};
  std::string_view gzip{};  // the same, compressed
};

// Empty in a program that was built without the page.
const std::vector<PageFile>& page_files();

// None where the request is for the API.
std::optional<HttpResponse> page_response(const HttpRequest& request,
                                          const std::vector<PageFile>& files = page_files());

}  // namespace tools
