// SPDX-License-Identifier: Apache-2.0
//
// `hindsight restore`: resolves the point, says what it found, and has the backend fill the target.
#include <atomic>
#include <boost/json/array.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "restore/image_target.h"
#include "restore/target_file.h"
#include "tools/cli/interrupt.h"
#include "tools/cli/output.h"
#include "tools/cli/progress.h"
#include "tools/cli/verb_support.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

namespace json = boost::json;
using cdp::Result;
using restore::TimeZone;

// Tells progress, and ends the work when the user interrupts it.
class WatchedTarget final : public restore::ImageTarget {
 public:
  explicit WatchedTarget(std::unique_ptr<restore::ImageTarget> target)
      : target_(std::move(target)), progress_("restoring") {}

  cdp::Status start(const restore::ImageSize& size) override {
    size_ = size;
    return target_->start(size);
  }
  cdp::Status data(std::uint64_t offset, std::span<const std::byte> bytes) override {
    data_bytes_ += bytes.size();
    cdp::Status go_on = advance(bytes.size());
    return go_on.ok() ? target_->data(offset, bytes) : go_on;
  }
  cdp::Status zero(std::uint64_t offset, std::uint64_t length) override {
    cdp::Status go_on = advance(length);
    return go_on.ok() ? target_->zero(offset, length) : go_on;
  }
  cdp::Status finish() override { return target_->finish(); }
  bool wants_offset_order() const override { return target_->wants_offset_order(); }
  std::string left_behind() const override { return target_->left_behind(); }

  std::uint64_t size_bytes() const { return size_.bytes; }
  std::uint64_t data_bytes() const { return data_bytes_; }

 private:
  cdp::Status advance(std::uint64_t bytes) {
    done_bytes_ += bytes;
    if (was_interrupted()) return cdp::make_error(ECANCELED, "the restore was interrupted");
    const std::lock_guard lock{progress_mutex_};
    progress_.update(done_bytes_, size_.bytes);
    return {};
  }

  std::unique_ptr<restore::ImageTarget> target_;
  restore::ImageSize size_;
  std::atomic<std::uint64_t> done_bytes_ = 0;
  std::atomic<std::uint64_t> data_bytes_ = 0;
  std::mutex progress_mutex_;
  Progress progress_;
};

}  // namespace

int run_restore(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  const Result<std::optional<restore::Point>> point = asked_point(line, zone);
  if (!point.ok()) {
    say(point.error().message);
    return kWrongUsage;
  }
  const bool to_stdout = line.to == "-";
  if (to_stdout && line.json) {
    say("with --to - standard output carries the image: leave --json out, or name a file");
    return kWrongUsage;
  }
  // The target first: what is wrong with it should not cost a walk through history.
  Result<std::unique_ptr<restore::ImageTarget>> target =
      restore::open_target(line.to, {line.format, line.force});
  if (!target.ok()) return failed(target.error());
  watch_for_interrupts();
  auto watched = std::make_unique<WatchedTarget>(std::move(target).value());

  Backend::Reply resolved = backend.points(line.name, *point);
  if (!resolved.ok()) return failed(resolved.error());
  const json::object* volume = object_of(*resolved, "volume");
  if (volume == nullptr || object_of(*resolved, "point") == nullptr) {
    say("the daemon's answer names no volume and point");
    return kFailed;
  }
  const std::string echo = point_fields(*resolved, zone);
  if (to_stdout)
    std::fputs(echo.c_str(), stderr);
  else if (!line.json)
    print(echo);
  std::fflush(stdout);

  const auto started = std::chrono::steady_clock::now();
  const Result<std::vector<std::string>> notices =
      backend.restore(text_of(*volume, "id"), same_point(*resolved, **point), *watched);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  if (!notices.ok()) {
    std::string sentence = notices.error().message;
    const std::string left = watched->left_behind();
    if (!left.empty() && sentence.find(left) == std::string::npos) sentence += "; " + left;
    watched.reset();
    say(sentence);
    return kFailed;
  }
  const std::uint64_t size_bytes = watched->size_bytes();
  const std::uint64_t data_bytes = watched->data_bytes();
  watched.reset();

  // Those of the stream repeat none of the point's.
  json::array& all_notices = (*resolved)["notices"].is_array()
                                 ? (*resolved)["notices"].as_array()
                                 : (*resolved)["notices"].emplace_array();
  for (const std::string& sentence : *notices) {
    bool known = false;
    for (const json::value& notice : all_notices) {
      known = known || (notice.is_object() && text_of(notice.as_object(), "message") == sentence);
    }
    if (!known) all_notices.push_back(json::object{{"kind", "damage"}, {"message", sentence}});
  }
  if (line.json) {
    (*resolved)["target"] = line.to;
    (*resolved)["size_bytes"] = size_bytes;
    (*resolved)["data_bytes"] = data_bytes;
    (*resolved)["seconds"] = seconds;
    print_document(*resolved);
  } else {
    const std::string done = fmt::format(
        "restored {} ({} of data) to {} in {:.1f} s", restore::format_bytes(size_bytes),
        restore::format_bytes(data_bytes), to_stdout ? "standard output" : line.to, seconds);
    if (to_stdout)
      say(done);
    else
      print(done + "\n");
  }
  return with_notices(*resolved);
}

}  // namespace tools::cli
