// SPDX-License-Identifier: Apache-2.0
#include "tools/api/audit_page.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "journal/format.h"

namespace tools::api {
namespace {

using cdp::Lsn;
using cdp::Result;
using cdp::Status;
using cdp::Task;
using journal::SegmentInfo;
using journal::VaultReader;

// The newest `room` of those that it is shown.
class NewestAudits final : public journal::RecordVisitor {
 public:
  explicit NewestAudits(std::size_t room) : room_(room) {}
  void on_audit(const journal::AuditRecord& record) override {
    audits.push_back(record);
    if (audits.size() <= room_) return;
    audits.pop_front();
    is_whole = false;
  }
  void on_damage(const journal::Damage& damage) override { lost.push_back(damage); }

  std::deque<journal::AuditRecord> audits;
  bool is_whole = true;
  std::vector<journal::Damage> lost;

 private:
  const std::size_t room_;
};

class Reading {
 public:
  explicit Reading(AuditWindow window)
      : limit_(std::max<std::size_t>(window.limit, 1)),
        upto_(window.before.has_value() ? Lsn{std::max<std::uint64_t>(window.before->value, 1) - 1}
                                        : Lsn{UINT64_MAX}) {}

  bool is_full() const { return page_.records.size() == limit_; }

  // The segments of `reader`, of which the first `count` are of concern, backwards.
  Task<Status> add(VaultReader* reader, std::size_t count) {
    for (std::size_t i = count; i-- > 0 && !is_full();) {
      const SegmentInfo info = reader->segments()[i];
      if (info.base_lsn >= upto_) continue;
      // The newest may be followed by another meanwhile.
      const bool is_last = i + 1 == reader->segments().size();
      const Lsn end = is_last ? upto_ : std::min(upto_, reader->segments()[i + 1].base_lsn);
      NewestAudits found(limit_ - page_.records.size());
      Status visited = co_await reader->visit(info.base_lsn, end, found);
      if (!visited.ok()) co_return visited;
      page_.records.insert(page_.records.end(), std::make_move_iterator(found.audits.rbegin()),
                           std::make_move_iterator(found.audits.rend()));
      page_.lost.insert(page_.lost.end(), found.lost.begin(), found.lost.end());
      if (is_full() && (!found.is_whole || info.number > 1)) {
        const Lsn oldest = page_.records.back().stamp.lsn;
        page_.before = oldest;
        // Of what is older, the page that comes next tells.
        std::erase_if(page_.lost, [oldest](const journal::Damage& damage) {
          return damage.before.value != 0 && damage.before <= oldest;
        });
      }
    }
    co_return Status();
  }
  // A segment cannot be opened: what newer ones had is a page, and the next one fails.
  bool can_end_before(std::uint32_t segment, const cdp::Error& error) {
    if (page_.records.empty()) return false;
    const Lsn oldest = page_.records.back().stamp.lsn;
    page_.before = oldest;
    page_.lost.push_back({.segment = segment, .before = oldest, .what = error.message});
    return true;
  }
  AuditPage take() { return std::move(page_); }

 private:
  const std::size_t limit_;
  const Lsn upto_;
  AuditPage page_;
};

}  // namespace

Task<Result<AuditPage>> read_audit_page(cdp::Scheduler& scheduler, cdp::Directory& segments,
                                        journal::Vault vault, AuditWindow window) {
  Result<std::vector<std::string>> names = co_await segments.list();
  if (!names.ok()) co_return std::move(names).error();
  std::uint32_t newest = 0;
  for (const std::string& name : *names)
    newest = std::max(newest, journal::segment_number(name).value_or(0));
  Reading reading(window);
  // Ever more of them at once: a reader takes the headers of all segments from one on.
  std::uint32_t done_from = newest + 1;
  std::uint32_t span = 1;
  while (done_from > 1 && !reading.is_full()) {
    const std::uint32_t from = done_from > span ? done_from - span : 1;
    Result<std::unique_ptr<VaultReader>> reader =
        co_await VaultReader::open(scheduler, segments, vault, from);
    if (!reader.ok() && span > 1) {
      span = 1;  // to come as near as can be
      continue;
    }
    if (!reader.ok() && reading.can_end_before(from, reader.error())) break;
    if (!reader.ok()) co_return std::move(reader).error();
    const bool is_first = done_from == newest + 1;  // with those that were begun since
    const std::size_t count = is_first ? (*reader)->segments().size() : done_from - from;
    Status added = co_await reading.add(reader->get(), count);
    if (!added.ok()) co_return std::move(added).error();
    done_from = from;
    span *= 2;
  }
  co_return reading.take();
}

}  // namespace tools::api
