// SPDX-License-Identifier: Apache-2.0
#include "journal/index/run_history.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "journal/index/frame_table.h"

namespace journal::index {
namespace {

// Stops at damage in `covers` that is not known.
class CompleteCollector final : public BoundedCollector {
 public:
  CompleteCollector(std::size_t entries_max, LsnInterval covers,
                    const std::vector<FrameRow>& known_damage)
      : BoundedCollector(entries_max), covers_(covers), known_damage_(known_damage) {}

  void on_damage(const Damage& damage) override {
    const bool is_known =
        std::any_of(known_damage_.begin(), known_damage_.end(), [&](const FrameRow& row) {
          return row.segment == damage.segment && row.offset <= damage.from_offset &&
                 damage.to_offset <= std::uint64_t{row.offset} + row.total_bytes;
        });
    const Lsn last = damage.before == Lsn{} ? covers_.upto : Lsn{damage.before.value - 1};
    if (last <= covers_.after) return;
    if (is_known)
      BoundedCollector::on_damage(damage);
    else if (damage.after < last)
      lost_ = damage;
  }
  bool done() const override { return lost_.has_value() || BoundedCollector::done(); }

  const std::optional<Damage>& lost() const { return lost_; }

 private:
  const LsnInterval covers_;
  const std::vector<FrameRow>& known_damage_;
  std::optional<Damage> lost_;
};

}  // namespace

Task<Result<std::unique_ptr<RunHistory>>> RunHistory::open(cdp::Scheduler& scheduler,
                                                           cdp::Directory& segments,
                                                           const Vault& vault, const Run& run) {
  std::unique_ptr<RunHistory> history{new RunHistory{run.header()}};
  PageReader pages(scheduler);
  std::uint32_t from = 1;
  auto first = co_await frame_at(pages, run, {history->covers_.after.value + 1});
  if (first.ok() && first->has_value()) from = (*first)->segment;
  std::vector<FrameRow> frames;
  Status known = co_await damaged_frames(pages, run, history->covers_, frames);
  if (known.ok()) history->known_damage_ = std::move(frames);
  Result<std::unique_ptr<VaultReader>> reader =
      co_await VaultReader::open(scheduler, segments, vault, from);
  if (!reader.ok()) co_return reader.error();
  history->reader_ = *std::move(reader);
  co_return std::move(history);
}

Task<Result<Collector>> RunHistory::next(std::size_t entries_max) {
  CompleteCollector collector(entries_max, {upto_, covers_.upto}, known_damage_);
  Status visited = co_await reader_->visit(upto_, covers_.upto, collector);
  if (!visited.ok()) co_return visited.error();
  if (collector.lost().has_value()) co_return make_error(EIO, "{}", collector.lost()->what);
  entries_given_ += collector.entries().size();
  upto_ = std::max(upto_, collector.upto());
  if (!collector.done()) {
    if (upto_ != covers_.upto || entries_given_ != entries_)
      co_return make_error(EIO, "history up to LSN {} has {} entries up to LSN {} now, not {}",
                           covers_.upto.value, entries_given_, upto_.value, entries_);
  }
  co_return static_cast<Collector&&>(collector);
}

}  // namespace journal::index
