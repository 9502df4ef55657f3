// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/jobs/jobs.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstring>
#include <utility>

namespace tools {
namespace {

namespace json = boost::json;
using cdp::make_error;
using cdp::Nanos;
using cdp::Result;
using cdp::Status;
using cdp::Task;

constexpr char kFileName[] = "jobs";
constexpr std::int64_t kVersion = 1;
constexpr std::size_t kDepthMax = 16;  // of the file's JSON
// The rate is that of so long, and smoothed.
constexpr Nanos kRateInterval = cdp::seconds(1);
constexpr double kRateWeight = 0.3;
constexpr char kInterrupted[] = "the daemon ended before it did";

constexpr std::string_view kKinds[] = {"verify", "hydration", "restore", "check"};
constexpr std::string_view kStates[] = {"running", "done", "failed", "cancelled", "interrupted"};

template <typename Enum, std::size_t kCount>
Enum named(const std::string_view (&names)[kCount], std::string_view name) {
  const auto* const found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) throw cdp::Error{EINVAL, "a name that is not known"};
  return static_cast<Enum>(found - std::begin(names));
}

json::object encode(const Job& job) {
  return {{"id", job.id},
          {"kind", name_of(job.kind)},
          {"state", name_of(job.state)},
          {"volume", job.volume},
          {"volume_id", job.volume_id},
          {"by", job.by},
          {"began", job.began.value},
          {"ended", job.ended.value},
          {"done_bytes", job.done_bytes},
          {"total_bytes", job.total_bytes},
          {"result", job.result},
          {"problem", job.problem}};
}

// Throws where it is no job.
Job decode_job(const json::object& from) {
  Job job;
  job.id = from.at("id").to_number<std::uint64_t>();
  job.kind = named<Job::Kind>(kKinds, from.at("kind").as_string());
  job.state = named<Job::State>(kStates, from.at("state").as_string());
  job.volume = from.at("volume").as_string();
  job.volume_id = from.at("volume_id").as_string();
  job.by = from.at("by").as_string();
  job.began = {from.at("began").to_number<std::int64_t>()};
  job.ended = {from.at("ended").to_number<std::int64_t>()};
  job.done_bytes = from.at("done_bytes").to_number<std::uint64_t>();
  job.total_bytes = from.at("total_bytes").to_number<std::uint64_t>();
  job.result = from.at("result").as_object();
  job.problem = from.at("problem").as_string();
  return job;
}

}  // namespace

std::string_view name_of(Job::Kind kind) { return kKinds[static_cast<std::size_t>(kind)]; }
std::string_view name_of(Job::State state) { return kStates[static_cast<std::size_t>(state)]; }

std::optional<Nanos> Job::time_left() const {
  if (!is_running() || total_bytes == 0 || bytes_per_second < 1) return std::nullopt;
  const auto rest = static_cast<double>(total_bytes - std::min(done_bytes, total_bytes));
  const double seconds = rest / bytes_per_second;
  constexpr double kMost = 366 * 86400.0;
  if (seconds > kMost) return std::nullopt;
  return Nanos{static_cast<std::int64_t>(seconds * 1e9)};
}

Jobs::Jobs(cdp::Scheduler& scheduler, const cdp::Clock& clock, cdp::Directory& state)
    : scheduler_(scheduler), clock_(clock), state_(state), wrote_(scheduler), writes_(scheduler) {}

Task<void> Jobs::load() {
  Result<std::vector<std::byte>> bytes = co_await state_.read_small(kFileName);
  const bool is_new = !bytes && bytes.error().code == ENOENT;
  Status known = bytes || is_new ? Status{} : Status{bytes.error()};
  if (bytes) known = decode(*bytes);
  if (!known) {
    spdlog::warn("jobs: what was done before is not known: {}", known.error().message);
    jobs_.clear();
    // No number of before is as large.
    const std::int64_t now = clock_.realtime().value / cdp::seconds(1).value;
    next_id_ = static_cast<std::uint64_t>(std::max<std::int64_t>(now, 1));
  }
  for (auto& [id, job] : jobs_) {
    if (!job.is_running()) continue;
    job.measured = scheduler_.now();
    job.measured_bytes = job.done_bytes;
    if (job.kind == Job::Kind::kHydration) continue;
    job.state = Job::State::kInterrupted;
    job.ended = clock_.realtime();
    job.problem = kInterrupted;
  }
  // With the numbers that are to be given from now on.
  co_await save();
}

Task<void> Jobs::stop() {
  numbers_ahead_ = 0;
  co_await save();
  co_await writes_.join();
}

std::uint64_t Jobs::begin(Job what) {
  what.id = next_id_++;
  what.state = Job::State::kRunning;
  what.began = clock_.realtime();
  what.measured = scheduler_.now();
  const std::uint64_t id = what.id;
  jobs_.emplace(id, std::move(what));
  changed();
  writes_.spawn(save());
  return id;
}

void Jobs::progress(std::uint64_t id, std::uint64_t done_bytes, std::uint64_t total_bytes) {
  const auto at = jobs_.find(id);
  if (at == jobs_.end()) return;
  Job& job = at->second;
  if (job.done_bytes != done_bytes || job.total_bytes != total_bytes) changed();
  job.done_bytes = done_bytes;
  job.total_bytes = total_bytes;
  const Nanos passed = scheduler_.now() - job.measured;
  if (passed < kRateInterval) return;
  const auto moved = static_cast<double>(done_bytes - std::min(done_bytes, job.measured_bytes));
  const double rate = moved * 1e9 / static_cast<double>(passed.value);
  job.bytes_per_second = job.bytes_per_second == 0
                             ? rate
                             : job.bytes_per_second + (rate - job.bytes_per_second) * kRateWeight;
  // What stands still has a rate that goes to nothing, and no end in sight.
  if (moved == 0 && job.bytes_per_second >= 1) changed();
  job.measured = scheduler_.now();
  job.measured_bytes = done_bytes;
}

void Jobs::say_doing(std::uint64_t id, const std::string& doing) {
  const auto at = jobs_.find(id);
  if (at == jobs_.end() || at->second.doing == doing) return;
  at->second.doing = doing;
  changed();
}

Task<void> Jobs::end(std::uint64_t id, Job::State state, json::object result, std::string problem) {
  const auto at = jobs_.find(id);
  if (at == jobs_.end() || !at->second.is_running()) co_return;
  if (ending_.contains(id)) co_return;
  Job job = at->second;
  if (json::serialize(result).size() > kResultBytesMax)
    result = {{"left_out", "the result is too long to be kept"}};
  job.state = state;
  job.ended = clock_.realtime();
  job.result = std::move(result);
  job.problem = std::move(problem);
  job.doing.clear();
  if (state == Job::State::kDone && job.total_bytes > 0) job.done_bytes = job.total_bytes;
  ending_.emplace(id, std::move(job));
  co_await save();
  jobs_.insert_or_assign(id, std::move(ending_.extract(id).mapped()));
  forget_oldest();
  changed();
}

Status Jobs::cancel(std::uint64_t id) {
  const auto at = jobs_.find(id);
  if (at == jobs_.end()) return make_error(ENOENT, "there is no job {}", id);
  Job& job = at->second;
  if (!job.is_running())
    return make_error(EBUSY, "job {} has ended already: it is {}", id, name_of(job.state));
  if (job.kind == Job::Kind::kHydration)
    return make_error(
        EBUSY,
        "job {} brings to volume {} what its backing store lacks, and the volume needs "
        "that: it cannot be cancelled; hydration.rate in the configuration says how "
        "fast it may be",
        id, job.volume);
  job.is_cancel_wanted = true;
  changed();
  return {};
}

const Job* Jobs::find(std::uint64_t id) const {
  const auto at = jobs_.find(id);
  return at == jobs_.end() ? nullptr : &at->second;
}

bool Jobs::is_cancel_wanted(std::uint64_t id) const {
  const Job* const job = find(id);
  return job != nullptr && job->is_cancel_wanted;
}

const Job* Jobs::running(Job::Kind kind, std::string_view volume_id) const {
  for (const auto& [id, job] : jobs_) {
    if (job.is_running() && job.kind == kind && (volume_id.empty() || job.volume_id == volume_id))
      return &job;
  }
  return nullptr;
}

void Jobs::changed() { ++version_; }

void Jobs::forget_oldest() {
  const auto ended = [](const auto& of) { return !of.second.is_running(); };
  auto count = static_cast<std::size_t>(std::count_if(jobs_.begin(), jobs_.end(), ended));
  for (auto at = jobs_.begin(); count > kEndedMax && at != jobs_.end();) {
    if (!ended(*at)) {
      ++at;
      continue;
    }
    at = jobs_.erase(at);
    --count;
  }
}

Task<void> Jobs::save() {
  const std::uint64_t mine = ++wanted_;
  while (written_ < mine) {
    if (!std::exchange(writing_, true)) writes_.spawn(write());
    co_await wrote_.wait();
  }
}

Task<void> Jobs::write() {
  const std::uint64_t upto = wanted_;
  Status kept = co_await state_.write_small(kFileName, encoded());
  if (!kept) spdlog::warn("jobs: they are not kept: {}", kept.error().message);
  written_ = upto;
  writing_ = false;
  wrote_.notify_all();
}

std::vector<std::byte> Jobs::encoded() const {
  json::array jobs;
  for (const auto& [id, job] : jobs_) {
    const auto ended = ending_.find(id);
    jobs.push_back(encode(ended == ending_.end() ? job : ended->second));
  }
  const std::string text = json::serialize(json::object{
      {"version", kVersion}, {"next_id", next_id_ + numbers_ahead_}, {"jobs", std::move(jobs)}});
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

Status Jobs::decode(const std::vector<std::byte>& bytes) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  try {
    const json::object file = json::parse(text, {}, options).as_object();
    if (file.at("version").as_int64() != kVersion)
      return make_error(ENOTSUP, "the file {} is of another version", kFileName);
    next_id_ = file.at("next_id").to_number<std::uint64_t>();
    for (const json::value& value : file.at("jobs").as_array()) {
      Job job = decode_job(value.as_object());
      if (job.id == 0 || job.id >= next_id_)
        return make_error(EIO, "the file {} in the state directory contradicts itself", kFileName);
      jobs_.insert_or_assign(job.id, std::move(job));
    }
  } catch (const cdp::Error& error) {
    return error;
  } catch (const std::exception&) {
    return make_error(EIO, "the file {} in the state directory is damaged", kFileName);
  }
  return {};
}

}  // namespace tools
