// SPDX-License-Identifier: Apache-2.0
#include "journal/durable_note.h"

#include <cstring>

#include "cdp/base/endian.h"

namespace journal {
namespace {

using cdp::load_le;
using cdp::store_le;

constexpr std::uint64_t kMagic = 0x4C42415255445348;  // "HSDURABL"
constexpr std::size_t kBytes = 64;
constexpr std::size_t kChecksumAt = kBytes - 8;

}  // namespace

std::vector<std::byte> encode_durable_note(Stamp newest, const Vault& vault) {
  std::vector<std::byte> bytes(kBytes);
  std::byte* const to = bytes.data();
  store_le(to, kMagic);
  store_le(to + 8, kFormatVersion);
  std::memcpy(to + 16, vault.uuid.bytes.data(), vault.uuid.bytes.size());
  store_le(to + 32, newest.lsn.value);
  store_le(to + 40, newest.time.value);
  store_le(to + kChecksumAt, checksum(vault.secret, std::span(bytes).first(kChecksumAt)));
  return bytes;
}

Result<Stamp> decode_durable_note(std::span<const std::byte> bytes, const Vault& vault) {
  if (bytes.size() != kBytes || load_le<std::uint64_t>(bytes.data()) != kMagic ||
      !reads_format(load_le<std::uint32_t>(bytes.data() + 8)))
    return make_error(EIO, "the state directory's file '{}' is damaged", kDurableNoteName);
  Uuid uuid;
  std::memcpy(uuid.bytes.data(), bytes.data() + 16, uuid.bytes.size());
  if (uuid != vault.uuid)
    return make_error(EINVAL,
                      "the state directory belongs to vault {}, not to vault {}: start with the "
                      "vault and the state directory that go together",
                      uuid.to_string(), vault.uuid.to_string());
  if (load_le<std::uint64_t>(bytes.data() + kChecksumAt) !=
      checksum(vault.secret, bytes.first(kChecksumAt)))
    return make_error(EIO, "the state directory's file '{}' is damaged", kDurableNoteName);
  return Stamp{.lsn = {load_le<std::uint64_t>(bytes.data() + 32)},
               .time = {load_le<std::int64_t>(bytes.data() + 40)}};
}

Task<Result<std::optional<Stamp>>> read_durable_note(cdp::Directory& state, const Vault& vault) {
  Result<std::vector<std::byte>> bytes = co_await state.read_small(kDurableNoteName);
  if (!bytes.ok()) {
    if (bytes.error().code == ENOENT) co_return std::optional<Stamp>();
    co_return bytes.error();
  }
  Result<Stamp> note = decode_durable_note(*bytes, vault);
  if (note.ok()) co_return std::optional<Stamp>(*note);
  if (note.error().code == EINVAL) co_return note.error();
  co_return std::optional<Stamp>();
}

}  // namespace journal
