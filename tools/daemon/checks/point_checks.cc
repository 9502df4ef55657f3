// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/checks/point_checks.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <list>
#include <utility>

#include "cdp/io/signal.h"
#include "cdp/nbd/limits.h"
#include "cdp/nbd/server_shared.h"
#include "cdp/nbd/session.h"
#include "restore/time_zone.h"
#include "tools/daemon/checks/checker_protocol.h"
#include "tools/daemon/checks/stretch_device.h"

namespace tools {

namespace json = boost::json;
using cdp::make_error;
using cdp::Nanos;
using cdp::Result;
using cdp::Status;
using cdp::Task;

namespace {

// Between looks at whether it is still wanted.
constexpr Nanos kLookInterval = cdp::milliseconds(100);

// A checker has one client for each stretch, which asks for little at once.
constexpr cdp::nbd::Limits kStretchLimits{
    .requests_in_flight_max = 64, .bytes_in_flight_max = 2u << 20, .drain_ns_max = cdp::seconds(1)};

// The daemon's end of one check, from its first line to its last session.
class Conversation {
 public:
  Conversation(cdp::Reactor& reactor, CheckerLink& link, std::shared_ptr<cdp::BlockDevice> device,
               Nanos time_limit, PointChecks::Watcher watcher)
      : reactor_(reactor),
        link_(link),
        device_(std::move(device)),
        time_limit_(time_limit),
        deadline_(reactor.now() + time_limit),
        watcher_(std::move(watcher)),
        shared_{.admissions = cdp::nbd::Admissions{kStretchLimits},
                .log = cdp::nbd::LogBudget{reactor},
                .failures_log = cdp::nbd::LogBudget{reactor}},
        over_(reactor),
        running_(reactor) {
    account_->writable_bytes = PointChecks::kOverlayBytesMax;
  }

  Task<Result<json::object>> hold() {
    running_.spawn(watch());
    Result<json::object> found = co_await listen();
    end();
    co_await running_.join();
    if (why_ended_) co_return *why_ended_;
    // No tool's word counts after that.
    if (account_->failure)
      co_return make_error(account_->failure->code, "the point could not be checked: {}",
                           account_->failure->message);
    co_return found;
  }

 private:
  Task<Result<json::object>> listen() {
    // One that has ended may have said why: that is what counts, and not that it hears no more.
    (void)co_await link_.send(check_request(device_->size_bytes()));
    for (;;) {
      Result<std::string> line = co_await link_.receive();
      if (!line) co_return std::move(line).error();
      Result<CheckerWord> word = parse_checker_line(*line, device_->size_bytes());
      if (!word) co_return std::move(word).error();
      if (auto* const found = std::get_if<CheckerFound>(&*word)) co_return std::move(found->result);
      if (auto* const failed = std::get_if<CheckerFailed>(&*word))
        co_return make_error(EIO, "the checker has failed: {}", failed->why);
      if (auto* const does = std::get_if<CheckerDoes>(&*word)) doing_ = std::move(does->what);
      if (const auto* const wants = std::get_if<CheckerWants>(&*word)) {
        Status answered = co_await answer(*wants);
        if (!answered) co_return std::move(answered).error();
      }
    }
  }

  Task<Status> answer(CheckerWants wants) {
    if (++stretches_ > kCheckStretchesMax)
      co_return co_await link_.send(stretch_refused(
          fmt::format("a check may have {} stretches and no more", kCheckStretchesMax)));
    auto stretch = StretchDevice::open(device_, wants.offset, wants.bytes, account_);
    if (!stretch) co_return co_await link_.send(stretch_refused(stretch.error().message));
    Result<std::unique_ptr<cdp::Stream>> ours = co_await link_.send_socket(stretch_opened());
    if (!ours) co_return std::move(ours).error();
    running_.spawn(serve(*std::move(ours), *std::move(stretch)));
    co_return Status{};
  }

  Task<void> serve(std::unique_ptr<cdp::Stream> stream, std::shared_ptr<StretchDevice> stretch) {
    OneExport exports{std::move(stretch)};
    cdp::nbd::Session session{reactor_, std::move(stream), exports, kStretchLimits, &shared_};
    const auto self = sessions_.insert(sessions_.end(), &session);
    if (is_over_) session.stop();
    co_await session.run();
    sessions_.erase(self);
  }

  // Ends it when nobody wants it any more, or it has taken too long.
  Task<void> watch() {
    while (!is_over_) {
      watcher_.progress(account_->read_bytes, doing_);
      if (watcher_.is_cancelled()) {
        why_ended_ = make_error(ECANCELED, "the check was cancelled");
      } else if (reactor_.now() >= deadline_) {
        why_ended_ = make_error(
            ETIMEDOUT, "the check took longer than check.time_limit allows, which is {}: {}",
            restore::format_duration(time_limit_),
            doing_.empty() ? "the checker said nothing" : "it was " + doing_);
      }
      if (why_ended_) end();
      if (!is_over_) co_await over_.wait_until(std::min(reactor_.now() + kLookInterval, deadline_));
    }
    watcher_.progress(account_->read_bytes, doing_);
  }

  void end() {
    if (std::exchange(is_over_, true)) return;
    link_.end();
    for (cdp::nbd::Session* const session : sessions_) session->stop();
    over_.notify_all();
  }

  cdp::Reactor& reactor_;
  CheckerLink& link_;
  const std::shared_ptr<cdp::BlockDevice> device_;
  const Nanos time_limit_;
  const Nanos deadline_;
  const PointChecks::Watcher watcher_;
  const std::shared_ptr<CheckAccount> account_ = std::make_shared<CheckAccount>();
  cdp::nbd::ServerShared shared_;
  std::list<cdp::nbd::Session*> sessions_;
  std::size_t stretches_ = 0;
  std::string doing_;
  std::optional<cdp::Error> why_ended_;
  bool is_over_ = false;
  cdp::Signal over_;
  cdp::TaskGroup running_;
};

}  // namespace

PointChecks::PointChecks(cdp::Reactor& reactor, Appliance& appliance)
    : reactor_(reactor), appliance_(appliance), host_(reactor) {}

Task<void> PointChecks::open() {
  Status prepared = co_await ThrowawayClone::prepare(host_, directory());
  if (!prepared) spdlog::warn("checks: {}: {}", directory(), prepared.error().message);
}

Result<PointChecks::Begun> PointChecks::begin() {
  if (*under_way_ >= kAtOnceMax)
    return make_error(EBUSY,
                      "{} checks are under way, which is the most at once: wait for one, or "
                      "cancel one",
                      kAtOnceMax);
  Result<std::unique_ptr<CheckerLink>> link = CheckerLink::connect(reactor_, options_.socket);
  if (!link) return std::move(link).error();
  ++*under_way_;
  std::shared_ptr<const void> place{under_way_.get(),
                                    [count = under_way_](const void*) { --*count; }};
  return Begun{*std::move(link), std::move(place)};
}

Task<Result<json::object>> PointChecks::run(Begun begun, restore::ResolvedPoint point,
                                            Watcher watcher) {
  auto reader = co_await appliance_.point_exports().reader_of(
      point.volume.id, point.at.lsn, point.volume.size_bytes, point.volume.name);
  if (!reader) co_return std::move(reader).error();
  auto clone = co_await ThrowawayClone::open(reactor_, host_, directory(), *std::move(reader));
  if (!clone) co_return std::move(clone).error();
  Result<json::object> found = make_error(EIO, "");
  {
    Conversation conversation{reactor_, *begun.link_, (*clone)->device(), options_.time_limit,
                              std::move(watcher)};
    found = co_await conversation.hold();
  }
  co_await (*clone)->close();
  co_return found;
}

}  // namespace tools
