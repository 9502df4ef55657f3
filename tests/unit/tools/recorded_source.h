// SPDX-License-Identifier: Apache-2.0
//
// RecordedSource: a RecordedVault, as the queries of the API ask it.
#pragma once

#include <memory>

#include "tests/unit/restore/recorded_vault.h"
#include "tools/api/queries.h"

namespace tools::api {

using restore::RecordedVault;

class RecordedSource final : public VaultSource {
 public:
  explicit RecordedSource(RecordedVault& world)
      : world_(world),
        blocks_(std::make_shared<journal::BlockReader>(world.scheduler, world.segments(),
                                                       world.vault)) {}
  cdp::Scheduler& scheduler() override { return world_.scheduler; }
  cdp::Directory& segments() override { return world_.segments(); }
  const journal::Vault& vault() override { return world_.vault; }
  std::shared_ptr<journal::BlockReader> blocks() override { return blocks_; }
  cdp::Task<cdp::Result<Newest>> newest() override {
    ++newest_asked;
    if (is_behind) co_await world_.make_durable();
    auto state = co_await journal::newest_state(world_.scheduler, world_.segments(), world_.vault);
    if (!state.ok()) co_return std::move(state).error();
    co_return Newest{*std::move(state), std::nullopt};
  }
  cdp::Task<cdp::Result<Newest>> durable() override {
    auto state = co_await journal::newest_state(world_.scheduler, world_.segments(), world_.vault);
    if (!state.ok()) co_return std::move(state).error();
    Newest durable{*std::move(state), std::nullopt};
    durable.is_all = !is_behind || durable.state.lsn == world_.last();
    co_return durable;
  }
  cdp::Task<cdp::Result<journal::index::TimeIndex*>> index() override { co_return &world_.index(); }

  bool is_behind = false;  // an appliance's: what was answered may not be durable yet
  std::size_t newest_asked = 0;

 private:
  RecordedVault& world_;
  std::shared_ptr<journal::BlockReader> blocks_;
};

}  // namespace tools::api
