// SPDX-License-Identifier: Apache-2.0
//
// Users, tokens and the audit: what becomes of them is records.
#include <utility>

#include "tools/daemon/appliance.h"

namespace tools {

using cdp::Status;
using cdp::Task;

Task<Status> Appliance::record_user(journal::UserRecord record) {
  const cdp::Stamp stamp = sequencer_.next();
  record.stamp = stamp;
  Status recorded = journal_->record_user(std::move(record));
  if (recorded) recorded = co_await journal_->flush(stamp.lsn);
  co_return recorded;
}

Task<Status> Appliance::record_token(journal::TokenRecord record) {
  const cdp::Stamp stamp = sequencer_.next();
  record.stamp = stamp;
  Status recorded = journal_->record_token(std::move(record));
  if (recorded) recorded = co_await journal_->flush(stamp.lsn);
  co_return recorded;
}

Task<Status> Appliance::record_audit(journal::AuditRecord record, bool make_durable) {
  const cdp::Stamp stamp = sequencer_.next();
  record.stamp = stamp;
  Status recorded = journal_->record_audit(std::move(record));
  if (recorded) last_audit_ = stamp.lsn;
  if (recorded && make_durable) recorded = co_await journal_->flush(stamp.lsn);
  co_return recorded;
}

Task<Status> Appliance::make_audits_durable() {
  Status durable;
  if (journal_->durable_state().lsn < last_audit_) durable = co_await journal_->flush(last_audit_);
  co_return durable;
}

}  // namespace tools
