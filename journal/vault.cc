// SPDX-License-Identifier: Apache-2.0
#include "journal/vault.h"

#include <cstring>

#include "cdp/base/endian.h"
#include "cdp/base/random_bytes.h"

namespace journal {
namespace {

using cdp::load_le;
using cdp::store_le;

constexpr std::uint64_t kVaultMagic = 0x00544C5541565348;  // "HSVAULT\0"
constexpr std::size_t kVaultBytes = 512;
constexpr std::size_t kSecretAt = 64;
constexpr std::size_t kReservedAt = kSecretAt + kSecretBytes;
constexpr std::size_t kChecksumAt = kVaultBytes - 8;

}  // namespace

Vault Vault::generate(Nanos now) {
  Vault vault{.uuid = Uuid::random(), .created = now};
  cdp::fill_random(vault.secret);
  return vault;
}

std::vector<std::byte> encode_vault(const Vault& vault) {
  std::vector<std::byte> bytes(kVaultBytes);
  std::byte* const to = bytes.data();
  store_le(to, kVaultMagic);
  store_le(to + 8, kFormatVersion);
  store_le(to + 12, static_cast<std::uint32_t>(kVaultBytes));
  std::memcpy(to + 16, vault.uuid.bytes.data(), vault.uuid.bytes.size());
  store_le(to + 32, vault.created.value);
  store_le(to + 40, static_cast<std::uint32_t>(cdp::kBlockBytes));
  // 44: reserved; 48: lock floor and 8 more, zero in this version
  std::memcpy(to + kSecretAt, vault.secret.data(), vault.secret.size());
  store_le(to + kChecksumAt, unkeyed_checksum(std::span(bytes).first(kChecksumAt)));
  return bytes;
}

Result<Vault> decode_vault(std::span<const std::byte> bytes) {
  const std::byte* const from = bytes.data();
  if (bytes.size() < 16 || load_le<std::uint64_t>(from) != kVaultMagic)
    return make_error(EINVAL, "the file VAULT is not the identity of a vault");
  // The version comes first: everything after it may be different in another one.
  if (const auto version = load_le<std::uint32_t>(from + 8); !reads_format(version))
    return make_error(ENOTSUP, "the vault is of format version {}, this program reads {} to {}",
                      version, kOldestFormatVersion, kFormatVersion);
  if (bytes.size() != kVaultBytes || load_le<std::uint32_t>(from + 12) != kVaultBytes ||
      load_le<std::uint64_t>(from + kChecksumAt) != unkeyed_checksum(bytes.first(kChecksumAt)))
    return make_error(EIO, "the file VAULT is damaged: restore it from a copy");
  if (load_le<std::uint32_t>(from + 40) != cdp::kBlockBytes ||
      !all_zero(bytes.subspan(44, kSecretAt - 44)) ||
      !all_zero(bytes.subspan(kReservedAt, kChecksumAt - kReservedAt)))
    return make_error(EINVAL, "the file VAULT holds values that this format does not know");
  Vault vault;
  std::memcpy(vault.uuid.bytes.data(), from + 16, vault.uuid.bytes.size());
  vault.created = {load_le<std::int64_t>(from + 32)};
  std::memcpy(vault.secret.data(), from + kSecretAt, vault.secret.size());
  return vault;
}

Task<Result<Vault>> open_vault(cdp::Directory& root) {
  Result<std::vector<std::byte>> bytes = co_await root.read_small(kVaultFileName);
  if (!bytes.ok()) co_return bytes.error();
  co_return decode_vault(*bytes);
}

Task<Result<Vault>> create_vault(cdp::Directory& root, Nanos now) {
  Result<std::vector<std::byte>> existing = co_await root.read_small(kVaultFileName);
  if (existing.ok()) co_return make_error(EEXIST, "there is a vault here already");
  if (existing.error().code != ENOENT) co_return existing.error();
  const Vault vault = Vault::generate(now);
  std::vector<std::byte> bytes = encode_vault(vault);
  Status written = co_await root.write_small(kVaultFileName, std::move(bytes));
  if (!written.ok()) co_return written.error();
  Status synced = co_await root.sync();
  if (!synced.ok()) co_return synced.error();
  co_return vault;
}

}  // namespace journal
