// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/nbd_security.h"

#include <algorithm>
#include <cerrno>

#include "cdp/nbd/errors.h"

namespace tools {
namespace {

using cdp::make_error;
using cdp::Result;
using cdp::Task;

constexpr std::string_view kIdPrefix = "id:";

using DevicePtr = std::shared_ptr<cdp::BlockDevice>;

// The appliance's exports, as far as one client may have them.
class ClientExports final : public cdp::ExportList {
 public:
  ClientExports(Appliance& appliance, std::string client,
                std::shared_ptr<const ClientRights> rights)
      : appliance_(appliance), client_(std::move(client)), rights_(std::move(rights)) {}

  std::vector<Entry> exports() const override {
    std::vector<Entry> entries = appliance_.exports();
    std::erase_if(entries, [this](const Entry& entry) { return !may_write(entry.name); });
    return entries;
  }

  Task<Result<DevicePtr>> find(std::string name) override {
    const std::size_t at = name.find('@');
    if (at == std::string::npos) {
      if (!may_write(name)) co_return refusal(ClientRight::kLive, name);
    } else {
      const std::string volume = name.substr(0, at);
      if (!may_view(named_volume(volume))) co_return refusal(ClientRight::kViews, volume);
    }
    Result<DevicePtr> found = co_await appliance_.find(name);
    // An error of the appliance's own is not about this client.
    if (!found && found.error().code == EACCES)
      co_return make_error(EIO, "{}", found.error().message);
    if (!found || *found == nullptr || at == std::string::npos) co_return found;
    const auto shown = appliance_.point_exports().view_of(**found);
    if (!shown || !may_view(state().find(shown->volume)))
      co_return refusal(ClientRight::kViews, name);
    co_return found;
  }

 private:
  const journal::JournalState& state() const { return appliance_.journal().state(); }

  // Of a volume that is served, or a clone.
  bool may_write(const std::string& name) const {
    if (const journal::VolumeState* const volume = state().find(name)) {
      return rights_->allow(client_, ClientRight::kLive, name, volume->uuid);
    }
    const auto& clones = appliance_.point_exports().clones();
    const auto clone = std::find_if(clones.begin(), clones.end(),
                                    [&name](const auto& one) { return one.name == name; });
    return clone != clones.end() && rights_->allow(client_, ClientRight::kLive, name, clone->uuid);
  }

  bool may_view(const journal::VolumeState* volume) const {
    return volume != nullptr &&
           rights_->allow(client_, ClientRight::kViews, volume->name, volume->uuid);
  }

  // By its name, or as id:UUID; a removed one too.
  const journal::VolumeState* named_volume(std::string_view name) const {
    if (!name.starts_with(kIdPrefix)) return state().find(name);
    const auto uuid = journal::Uuid::parse(name.substr(kIdPrefix.size()));
    return uuid.ok() ? state().find(*uuid) : nullptr;
  }

  cdp::Error refusal(ClientRight right, const std::string& name) const {
    return make_error(EACCES, "nbd.clients does not give it \"{} {} {}\"", client_, word_of(right),
                      cdp::nbd::printable(name));
  }

  Appliance& appliance_;
  const std::string client_;
  const std::shared_ptr<const ClientRights> rights_;
};

}  // namespace

Task<Result<cdp::nbd::Security::Secured>> NbdSecurity::secure(cdp::Stream& below) {
  Result<std::unique_ptr<cdp::TlsStream>> stream = co_await acceptor_.accept(below);
  if (!stream) co_return std::move(stream).error();
  Secured secured;
  secured.exports = std::make_unique<ClientExports>(appliance_, (*stream)->client(), rights_);
  secured.stream = *std::move(stream);
  co_return secured;
}

}  // namespace tools
