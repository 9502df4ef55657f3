// SPDX-License-Identifier: Apache-2.0
#include "restore/point_reader.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "cdp/io/signal.h"

namespace restore {
namespace {

using cdp::kBlockBytes;
using journal::index::BlockState;
using journal::index::BlockVersion;

// Stretches of the journal that one read waits for side by side.
constexpr std::size_t kStretchesInFlight = 8;

}  // namespace

// A plan that is being carried out.
struct PointReader::Fetch {
  const RunPlan& plan;
  BlockSink sink;  // may be empty
  std::size_t next_stretch = 0;
  std::optional<cdp::Error> failed{};
};

PointReader::PointReader(PointParts parts, PointContent content)
    : parts_(std::move(parts)), content_(std::move(content)) {
  CHECK(parts_.map != nullptr && parts_.runs != nullptr);
}

std::unique_ptr<journal::index::Scan> PointReader::scan(std::uint64_t first_block,
                                                        std::uint64_t end_block) const {
  return parts_.map->scan(content_.visible, first_block, end_block);
}

Task<Status> PointReader::lookup(std::uint64_t first_block, std::span<BlockVersion> into) const {
  Status found = co_await parts_.map->lookup(content_.visible, first_block, into);
  if (found.ok()) co_return found;
  co_return cdp::make_error(found.error().code, "looking up {} at block {}: {}", content_.name,
                            first_block, found.error().message);
}

Task<Result<cdp::PageList>> PointReader::read(std::uint64_t first_block, std::uint32_t count,
                                              cdp::PagePool& pool) const {
  CHECK(count > 0 && count <= cdp::kMaxPieceBlocks);
  const std::uint64_t end = cdp::blocks_for(content_.size_bytes);
  const std::uint64_t inside =
      first_block < end ? std::min<std::uint64_t>(count, end - first_block) : 0;
  cdp::PageList pages(count, cdp::zero_page());
  if (inside == 0) co_return std::move(pages);

  std::vector<BlockVersion> versions(inside);
  Status found = co_await lookup(first_block, versions);
  if (!found.ok()) co_return std::move(found).error();
  RunPlan plan;
  for (std::uint64_t i = 0; i < inside; ++i) {
    if (versions[i].state == BlockState::kData) plan.add(first_block + i, versions[i].place);
  }
  if (plan.blocks().empty()) co_return std::move(pages);
  plan.make();
  cdp::PageList buffers = co_await pool.acquire(plan.blocks().size());
  for (std::size_t i = 0; i < plan.blocks().size(); ++i) {
    pages[plan.blocks()[i].block - first_block] = std::move(buffers[i]);
  }
  const auto copy = [&pages, first_block](const WantedBlock& wanted, const journal::Run& run) {
    std::memcpy(pages[wanted.block - first_block].data(), run.block(wanted.place.index).data(),
                kBlockBytes);
  };
  Status fetched = co_await fetch(plan, copy);
  if (!fetched.ok()) co_return std::move(fetched).error();
  co_return std::move(pages);
}

Task<Status> PointReader::prefetch(std::uint64_t first_block, std::uint64_t end_block,
                                   std::size_t runs_max) const {
  end_block = std::min(end_block, cdp::blocks_for(content_.size_bytes));
  std::vector<BlockVersion> versions;
  RunPlan plan;
  for (std::size_t runs = 0; first_block < end_block && runs < runs_max;) {
    versions.resize(std::min<std::uint64_t>(end_block - first_block, cdp::kMaxPieceBlocks));
    Status found = co_await lookup(first_block, versions);
    if (!found.ok()) co_return found;
    plan.clear();
    for (std::size_t i = 0; i < versions.size(); ++i) {
      if (versions[i].state == BlockState::kData) plan.add(first_block + i, versions[i].place);
    }
    plan.make();
    Status fetched = co_await fetch(plan, {});
    if (!fetched.ok()) co_return fetched;
    runs += plan.runs().size();
    first_block += versions.size();
  }
  co_return Status{};
}

// Hands every block of the plan with its run to `sink`.
Task<Status> PointReader::fetch(const RunPlan& plan, BlockSink sink) const {
  Fetch fetch{.plan = plan, .sink = std::move(sink)};
  if (plan.stretches().size() == 1) {
    Status single = co_await fetch_stretch(fetch, plan.stretches().front());
    co_return single;
  }
  cdp::TaskGroup readers{parts_.scheduler};
  const std::size_t count = std::min(kStretchesInFlight, plan.stretches().size());
  for (std::size_t i = 0; i < count; ++i) readers.spawn(fetch_stretches(fetch));
  co_await readers.join();
  if (fetch.failed) co_return std::move(*fetch.failed);
  co_return Status{};
}

Task<void> PointReader::fetch_stretches(Fetch& fetch) const {
  while (fetch.next_stretch < fetch.plan.stretches().size() && !fetch.failed) {
    const RunPlan::Stretch stretch = fetch.plan.stretches()[fetch.next_stretch++];
    Status fetched = co_await fetch_stretch(fetch, stretch);
    if (!fetched.ok() && !fetch.failed) fetch.failed = std::move(fetched).error();
  }
}

Task<Status> PointReader::fetch_stretch(Fetch& fetch, RunPlan::Stretch stretch) const {
  const RunPlan& plan = fetch.plan;
  std::vector<journal::BlockPlace> places = plan.places_of(stretch);
  Result<std::vector<journal::RunRef>> found = co_await parts_.runs->runs(std::move(places));
  if (!found.ok()) {
    Status named = co_await name_the_block(plan, stretch, std::move(found).error());
    co_return named;
  }
  for (std::size_t i = stretch.begin; i < stretch.end && fetch.sink; ++i) {
    const RunPlan::Run& run = plan.runs()[i];
    for (std::size_t b = run.begin; b < run.end; ++b) {
      fetch.sink(plan.blocks()[b], *(*found)[i - stretch.begin]);
    }
  }
  co_return Status{};
}

// Which of the blocks it is that cannot be read.
Task<Status> PointReader::name_the_block(const RunPlan& plan, RunPlan::Stretch stretch,
                                         cdp::Error error) const {
  std::uint64_t block = plan.blocks()[plan.runs()[stretch.begin].begin].block;
  for (std::size_t i = stretch.begin; i < stretch.end; ++i) {
    const WantedBlock& last = plan.blocks()[plan.runs()[i].end - 1];
    Result<journal::RunRef> run = co_await parts_.runs->run(last.place);
    if (run.ok()) continue;
    block = plan.blocks()[plan.runs()[i].begin].block;
    error = std::move(run).error();
    break;
  }
  co_return cdp::make_error(error.code, "reading {} at block {}: {}", content_.name, block,
                            error.message);
}

}  // namespace restore
