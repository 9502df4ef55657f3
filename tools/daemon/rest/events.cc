// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/events.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace tools {

using cdp::make_error;
using cdp::Result;
using cdp::Task;

namespace {

constexpr cdp::Nanos kInterval = cdp::seconds(1);
// Whoever stands in between may close what is silent for longer.
constexpr cdp::Nanos kHeartbeat = cdp::seconds(15);
constexpr char kHeartbeatText[] = ": still here\n\n";
// How long a client waits before it comes again.
constexpr char kGreeting[] = "retry: 2000\n\n";

std::string event_text(std::string_view name, std::string_view document) {
  // A serialised document has no line feeds.
  return fmt::format("event: {}\ndata: {}\n\n", name, document);
}

}  // namespace

// The newest of each event, and which one it is of all that there were.
struct Events::Board {
  explicit Board(cdp::Scheduler& at) : scheduler(at), changed(at) {}

  struct Note {
    std::uint64_t version = 0;
    std::string document{};
    std::string text{};
  };
  // Whether it is news.
  bool put(Note& note, std::string_view name, std::string document) {
    if (note.version != 0 && note.document == document) return false;
    note = {.version = ++version, .document = document, .text = event_text(name, document)};
    return true;
  }

  cdp::Scheduler& scheduler;
  std::uint64_t version = 0;
  Note status{};
  std::map<cdp::VolumeId, Note> volumes{};
  std::map<std::uint64_t, Note> jobs{};
  std::vector<Stream*> streams{};  // in the order in which they were opened
  bool stopping = false;
  cdp::Signal changed;
};

class Events::Stream final : public BodySource {
 public:
  Stream(std::shared_ptr<Board> board, std::string who, std::function<bool()> is_allowed)
      : board_(std::move(board)), who_(std::move(who)), is_allowed_(std::move(is_allowed)) {
    board_->streams.push_back(this);
  }
  ~Stream() override { leave(); }

  const std::string& who() const { return who_; }
  // Soon, by itself; from now on it is none of those that there are.
  void end() {
    leave();
    ended_ = true;
    board_->changed.notify_all();
  }

  Task<Result<std::optional<std::string>>> next() override {
    const cdp::Nanos silent_until = board_->scheduler.now() + kHeartbeat;
    if (!std::exchange(greeted_, true)) co_return std::optional<std::string>{kGreeting};
    while (!board_->stopping && !ended_ && is_allowed_()) {
      if (seen_ < board_->version) co_return std::optional{news()};
      if (board_->scheduler.now() >= silent_until)
        co_return std::optional<std::string>{kHeartbeatText};
      (void)co_await board_->changed.wait_until(silent_until);
    }
    co_return std::optional<std::string>{};
  }
  Task<void> abandon() override { co_return; }

 private:
  void leave() { std::erase(board_->streams, this); }

  std::string news() {
    std::string text;
    for (const auto& [id, note] : board_->volumes)
      if (note.version > seen_) text += note.text;
    if (board_->status.version > seen_) text += board_->status.text;
    for (const auto& [id, note] : board_->jobs)
      if (note.version > seen_) text += note.text;
    seen_ = board_->version;
    return text;
  }

  const std::shared_ptr<Board> board_;
  const std::string who_;
  const std::function<bool()> is_allowed_;
  bool ended_ = false;
  bool greeted_ = false;
  std::uint64_t seen_ = 0;
};

Events::Events(cdp::Scheduler& scheduler, Jobs& jobs, Sources sources)
    : scheduler_(scheduler),
      jobs_(jobs),
      sources_(std::move(sources)),
      board_(std::make_shared<Board>(scheduler)),
      stop_(scheduler),
      running_(scheduler) {}

Events::~Events() = default;

Result<std::shared_ptr<BodySource>> Events::open(std::string who,
                                                 std::function<bool()> is_allowed) {
  if (board_->stopping) return make_error(ESHUTDOWN, "the daemon is stopping");
  std::vector<Stream*>& streams = board_->streams;
  const auto is_his = [&who](const Stream* stream) { return stream->who() == who; };
  if (std::ranges::count_if(streams, is_his) >= std::ptrdiff_t{kStreamsOfOneMax})
    (*std::ranges::find_if(streams, is_his))->end();
  if (streams.size() >= kStreamsMax)
    return make_error(ESHUTDOWN,
                      "{} streams of events are open already, and there are no more: ask again "
                      "later, or for /api/status",
                      kStreamsMax);
  auto stream = std::make_shared<Stream>(board_, std::move(who), std::move(is_allowed));
  if (!std::exchange(publishing_, true)) running_.spawn(publish());
  return std::shared_ptr<BodySource>{std::move(stream)};
}

bool Events::has_volume(cdp::VolumeId id) const { return board_->volumes.contains(id); }

Task<void> Events::stop() {
  board_->stopping = true;
  board_->changed.notify_all();
  stop_.notify_all();
  co_await running_.join();
}

Task<void> Events::publish() {
  jobs_version_.reset();
  ended_before_.clear();
  for (const auto& [id, job] : jobs_.all()) {
    if (!job.is_running()) ended_before_.insert(id);
  }
  while (!board_->stopping && !board_->streams.empty()) {
    co_await look();
    const cdp::Nanos until = scheduler_.now() + kInterval;
    while (!board_->stopping && scheduler_.now() < until) (void)co_await stop_.wait_until(until);
  }
  // Who comes next is not told what is old by then.
  board_->status = {};
  board_->volumes.clear();
  board_->jobs.clear();
  publishing_ = false;
}

Task<void> Events::look() {
  bool is_news = false;
  Result<Status> status = co_await sources_.status();
  // What cannot be told now, is told when it can.
  if (status) {
    for (auto& [id, volume] : status->volumes)
      is_news = board_->put(board_->volumes[id], "volume", std::move(volume)) || is_news;
    is_news = board_->put(board_->status, "status", std::move(status->appliance)) || is_news;
  }
  if (jobs_.version() != jobs_version_) {
    jobs_version_ = jobs_.version();
    std::erase_if(board_->jobs, [this](const auto& of) { return jobs_.find(of.first) == nullptr; });
    for (const auto& [id, job] : jobs_.all()) {
      if (ended_before_.contains(id)) continue;
      is_news = board_->put(board_->jobs[id], "job", sources_.job(job)) || is_news;
    }
  }
  if (is_news) board_->changed.notify_all();
}

}  // namespace tools
