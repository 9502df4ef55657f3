// SPDX-License-Identifier: Apache-2.0
#include "tools/web/page.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace tools {
namespace {

// Names of these files have a digest of what is in them.
constexpr std::string_view kHashed = "assets/";

// Nothing comes from elsewhere, and nothing is executed that is not a file of the page.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

std::string_view content_type_of(std::string_view path) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kTypes{{
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".woff2", "font/woff2"},
      {".json", "application/json"},
  }};
  for (const auto& [ending, type] : kTypes)
    if (path.ends_with(ending)) return type;
  return "application/octet-stream";
}

bool is_at(std::string_view path, const std::vector<std::string>& segments) {
  std::size_t at = 0;
  for (const std::string& segment : segments) {
    const std::string_view next = path.substr(std::min(at, path.size()));
    const std::string_view own = next.substr(0, next.find('/'));
    if (at > path.size() || own != segment) return false;
    at += own.size() + 1;
  }
  return at == path.size() + 1;
}

// As browsers say it; a weight of 0 is not for browsers.
bool takes_gzip(std::string_view accept_encoding) {
  return accept_encoding.find("gzip") != std::string_view::npos &&
         accept_encoding.find("gzip;q=0") == std::string_view::npos;
}

}  // namespace

std::optional<HttpResponse> page_response(const HttpRequest& request,
                                          const std::vector<PageFile>& files) {
  if (request.method != "GET") return std::nullopt;
  static const std::vector<std::string> kIndex{"index.html"};
  const bool is_root =
      request.path.empty() || (request.path.size() == 1 && request.path[0].empty());
  const std::vector<std::string>& asked = is_root ? kIndex : request.path;
  const auto file = std::ranges::find_if(
      files, [&asked](const PageFile& of) { return is_at(of.path, asked); });
  if (file == files.end()) return std::nullopt;
  const std::string_view path = file->path;
  HttpResponse response;
  response.content_type = content_type_of(path);
  response.content_security_policy = kPolicy;
  const bool is_hashed = path.starts_with(kHashed);
  response.cache_control = is_hashed ? "public, max-age=31536000, immutable" : "no-cache";
  response.varies_by = "Accept-Encoding";
  const bool is_smaller = file->gzip.size() < file->bytes.size();
  if (is_smaller && takes_gzip(request.header.accept_encoding)) {
    response.content_encoding = "gzip";
    response.body = file->gzip;
  } else {
    response.body = file->bytes;
  }
  return response;
}

}  // namespace tools
