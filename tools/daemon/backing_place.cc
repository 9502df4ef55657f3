// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/backing_place.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

namespace tools {
namespace {

namespace fs = std::filesystem;

// Of one that cannot be followed to its end, such as a loop of links, what it says.
fs::path followed(const std::string& path) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(path, error);
  return error ? fs::path(path) : real;
}

bool lies_in(const fs::path& path, const fs::path& place) {
  return std::mismatch(place.begin(), place.end(), path.begin(), path.end()).first == place.end();
}

}  // namespace

cdp::Status check_backing_place(const std::string& path, const BackingPlaces& places) {
  if (!path.starts_with('/')) {
    return cdp::make_error(EINVAL, "the backing store {} must be an absolute path", path);
  }
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  if (error) {
    return cdp::make_error(EINVAL, "the backing store {} cannot be found: {}", path,
                           error.message());
  }
  for (const std::string& own : places.own) {
    if (!lies_in(real, followed(own))) continue;
    return cdp::make_error(EPERM,
                           "the backing store {} lies in {}, which is the appliance's own: no "
                           "volume may write there",
                           path, own);
  }
  const bool is_allowed =
      std::any_of(places.allowed.begin(), places.allowed.end(),
                  [&](const std::string& allowed) { return lies_in(real, followed(allowed)); });
  if (is_allowed) return {};
  const std::string leads = real == path ? "" : fmt::format(" (that is {})", real.string());
  return cdp::make_error(
      EPERM,
      "the backing store {}{} lies outside of the allowed_paths of the daemon's "
      "configuration ({}): name one in there, or have its place added",
      path, leads,
      places.allowed.empty() ? "none" : fmt::format("{}", fmt::join(places.allowed, ", ")));
}

}  // namespace tools
