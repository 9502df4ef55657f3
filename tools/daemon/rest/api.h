// SPDX-License-Identifier: Apache-2.0
//
// Api: the REST API of the daemon. Each operation (operations.h says which there are, and what they
// take) is a coroutine on the reactor, next to the appliance it asks or changes; documents are
// those of tools/api, so that the command line prints the same with a daemon and without one. What
// the appliance alone knows is added to them; schemas.h describes them whole.
//
// api.cc answers requests, api_volumes.cc has the operations of volumes, api_points.cc those
// that bring a point back (differences, images, views, clones, rollback), api_checks.cc that which
// has one checked, api_clients.cc those of who is connected, api_jobs.cc those of long work,
// api_alerts.cc those of alerts, and api_access.cc those of users, tokens and the audit.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/io/socket.h"
#include "cdp/nbd/server.h"
#include "tools/api/queries.h"
#include "tools/daemon/access/access.h"
#include "tools/daemon/access/audit_log.h"
#include "tools/daemon/alerts/alert_watch.h"
#include "tools/daemon/appliance.h"
#include "tools/daemon/checks/point_checks.h"
#include "tools/daemon/jobs/hydration_watch.h"
#include "tools/daemon/jobs/jobs.h"
#include "tools/daemon/rest/events.h"
#include "tools/daemon/rest/http_message.h"
#include "tools/daemon/rest/idempotency_keys.h"
#include "tools/daemon/rest/metrics.h"
#include "tools/daemon/rest/operation.h"

namespace tools {

// Where NBD is served.
struct NbdAddress {
  cdp::SocketAddress address;
  bool requires_tls = false;
};

class Api {
 public:
  // All must outlive it.
  Api(cdp::Scheduler& scheduler, const cdp::Clock& clock, Appliance& appliance, Access& access,
      AlertWatch& alerts, Jobs& jobs, HydrationWatch& hydrations, PointChecks& checks,
      cdp::nbd::Server& nbd, std::vector<NbdAddress> nbd_addresses);
  // Ends the work that was begun here, and every stream of events.
  cdp::Task<void> stop();

  // To whom may ask it; and the audit has what was done, or refused.
  cdp::Task<HttpResponse> answer(HttpRequest request);
  // For who need not say who they are: metrics, health and readiness only.
  cdp::Task<HttpResponse> answer_anybody(HttpRequest request);

 private:
  using Document = boost::json::object;
  using Answer = cdp::Result<HttpResponse>;
  using Handler = cdp::Task<Answer> (Api::*)(Call);

  // Where there is no such operation, `refusal` says so.
  static const Operation* find_operation(const HttpRequest& request, HttpResponse& refusal);
  cdp::Task<HttpResponse> perform(const Operation& operation, HttpRequest request, Principal who);
  // Null where it is not known.
  static Handler handler_of(const Operation& operation);
  static HttpResponse json_response(const Document& document);
  static HttpResponse text_response(std::string text);

  cdp::Task<Answer> get_description(Call call);
  cdp::Task<Answer> get_metrics(Call call);
  cdp::Task<Answer> get_health(Call call);
  cdp::Task<Answer> get_readiness(Call call);
  cdp::Task<Answer> get_status(Call call);
  cdp::Task<Answer> list_volumes(Call call);
  cdp::Task<Answer> create_volume(Call call);
  cdp::Task<Answer> get_volume(Call call);
  cdp::Task<Answer> change_volume(Call call);
  cdp::Task<Answer> remove_volume(Call call);
  cdp::Task<Answer> resume_volume(Call call);
  cdp::Task<Answer> get_points(Call call);
  cdp::Task<Answer> get_timeline(Call call);
  cdp::Task<Answer> get_image(Call call);
  cdp::Task<Answer> get_diff(Call call);
  cdp::Task<Answer> list_clients(Call call);
  cdp::Task<Answer> list_views(Call call);
  cdp::Task<Answer> create_view(Call call);
  cdp::Task<Answer> close_view(Call call);
  cdp::Task<Answer> list_clones(Call call);
  cdp::Task<Answer> create_clone(Call call);
  cdp::Task<Answer> remove_clone(Call call);
  cdp::Task<Answer> roll_back(Call call);
  cdp::Task<Answer> check_point(Call call);
  cdp::Task<Answer> list_marks(Call call);
  cdp::Task<Answer> create_mark(Call call);
  cdp::Task<Answer> list_segments(Call call);
  cdp::Task<Answer> verify(Call call);
  cdp::Task<Answer> get_events(Call call);
  cdp::Task<Answer> list_jobs(Call call);
  cdp::Task<Answer> get_job(Call call);
  cdp::Task<Answer> cancel_job(Call call);
  cdp::Task<Answer> list_alerts(Call call);
  cdp::Task<Answer> test_alert(Call call);
  cdp::Task<Answer> get_set_up(Call call);
  cdp::Task<Answer> set_up(Call call);
  cdp::Task<Answer> sign_in(Call call);
  cdp::Task<Answer> get_session(Call call);
  cdp::Task<Answer> sign_out(Call call);
  cdp::Task<Answer> change_password(Call call);
  cdp::Task<Answer> list_users(Call call);
  cdp::Task<Answer> create_user(Call call);
  cdp::Task<Answer> change_user(Call call);
  cdp::Task<Answer> remove_user(Call call);
  cdp::Task<Answer> list_tokens(Call call);
  cdp::Task<Answer> create_token(Call call);
  cdp::Task<Answer> revoke_token(Call call);
  cdp::Task<Answer> get_audit(Call call);

  struct ResolvedVolume {
    restore::ResolvedPoint point;
    journal::JournalState newest;
    restore::TimeZone zone;
  };
  cdp::Task<cdp::Result<ResolvedVolume>> resolve(VolumeAt wanted, restore::TimeZone zone);
  // The volume's name now, and its id.
  void add_volume(Document& document, cdp::VolumeId id) const;
  // What it shows, of what is served; and of which volume that is.
  std::optional<cdp::VolumeId> describe_device(const cdp::BlockDevice& device,
                                               Document& document) const;
  std::string view_name(const PointExports::OpenView& view) const;
  Document rolled_back_document(const journal::VolumeState& now,
                                const restore::ResolvedPoint& point) const;
  // EBUSY where a client that may write is connected to one of the volumes.
  cdp::Status no_writers(const std::vector<Appliance::VolumePoint>& points) const;
  // The volume's device; null where it is not served.
  std::shared_ptr<const cdp::BlockDevice> device_of(cdp::VolumeId id) const;
  // Its connections, by whatever name they were made.
  std::vector<cdp::nbd::Server::Connection> connections_of(cdp::VolumeId id) const;
  // Those that may write to it.
  std::size_t writers_of(cdp::VolumeId id) const;
  cdp::Result<const Job*> named_job(const std::string& number) const;
  cdp::Task<void> run_verify(std::uint64_t id, bool deep);
  cdp::Task<void> run_check(std::uint64_t id, PointChecks::Begun begun,
                            restore::ResolvedPoint point);
  cdp::Result<const journal::VolumeState*> named_volume(const std::string& name) const;
  Document volume_document(const journal::VolumeState& volume) const;
  // Without the volumes.
  cdp::Task<cdp::Result<Document>> status_document(restore::TimeZone zone);
  cdp::Task<cdp::Result<Events::Status>> status_for_events();
  static std::string job_text(const Job& job);
  cdp::Task<cdp::Result<Figures>> figures();
  Document session_document(const Call& call);
  static Document head_document(const journal::ChainHead& head);
  Document journal_document() const;
  Document index_document() const;
  Document clone_document(const restore::CloneEntry& clone) const;
  boost::json::array uris_of(const std::string& export_name) const;
  std::string uri_of(const NbdAddress& at, const std::string& volume) const;

  cdp::Scheduler& scheduler_;
  const cdp::Clock& clock_;
  Appliance& appliance_;
  Access& access_;
  AlertWatch& alerts_;
  Jobs& jobs_;
  HydrationWatch& hydrations_;
  PointChecks& checks_;
  AuditLog audit_;
  IdempotencyKeys keys_;
  cdp::nbd::Server& nbd_;
  const std::vector<NbdAddress> nbd_addresses_;
  api::VaultQueries queries_;
  Events events_;
  bool stopping_ = false;
  cdp::TaskGroup background_;
};

}  // namespace tools
