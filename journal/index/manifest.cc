// SPDX-License-Identifier: Apache-2.0
#include "journal/index/manifest.h"

#include <cstring>

#include "cdp/base/endian.h"

namespace journal::index {
namespace {

using cdp::load_le;
using cdp::store_le;

constexpr std::uint64_t kMagic = 0x005844494E495348;  // "HSINIDX\0"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeadBytes = 88;
constexpr std::size_t kRunBytes = 24;
constexpr std::size_t kChecksumBytes = 8;

Error damaged(const char* what) {
  return make_error(EIO, "the time index's file '{}' {}", kManifestName, what);
}

}  // namespace

std::vector<std::byte> encode_manifest(const Manifest& manifest, const Vault& vault) {
  std::vector<std::byte> bytes(kHeadBytes + manifest.runs.size() * kRunBytes + kChecksumBytes);
  std::byte* at = bytes.data();
  store_le(at, kMagic);
  store_le(at + 8, kVersion);
  store_le(at + 12, static_cast<std::uint32_t>(manifest.runs.size()));
  std::memcpy(at + 16, vault.uuid.bytes.data(), vault.uuid.bytes.size());
  store_le(at + 32, manifest.next_number);  // bytes 36 to 39 are reserved
  store_le(at + 40, manifest.last_frame.segment);
  store_le(at + 44, manifest.last_frame.offset);
  std::memcpy(at + 48, manifest.last_frame.digest.data(), manifest.last_frame.digest.size());
  at += kHeadBytes;
  for (const Manifest::RunName& run : manifest.runs) {
    store_le(at, run.number);  // bytes 4 to 7 are reserved
    store_le(at + 8, run.after.value);
    store_le(at + 16, run.upto.value);
    at += kRunBytes;
  }
  store_le(at, checksum(vault.secret, std::span{bytes}.first(bytes.size() - kChecksumBytes)));
  return bytes;
}

Result<Manifest> decode_manifest(std::span<const std::byte> bytes, const Vault& vault) {
  if (bytes.size() < kHeadBytes + kChecksumBytes || load_le<std::uint64_t>(bytes.data()) != kMagic)
    return damaged("is not one");
  if (load_le<std::uint32_t>(bytes.data() + 8) != kVersion) return damaged("has another version");
  if (std::memcmp(bytes.data() + 16, vault.uuid.bytes.data(), vault.uuid.bytes.size()) != 0)
    return damaged("belongs to another vault");
  const std::size_t count = load_le<std::uint32_t>(bytes.data() + 12);
  if (bytes.size() != kHeadBytes + count * kRunBytes + kChecksumBytes)
    return damaged("has another length than it says");
  const auto covered = bytes.first(bytes.size() - kChecksumBytes);
  if (load_le<std::uint64_t>(bytes.data() + covered.size()) != checksum(vault.secret, covered))
    return damaged("is damaged");

  Manifest manifest;
  manifest.next_number = load_le<std::uint32_t>(bytes.data() + 32);
  manifest.last_frame.segment = load_le<std::uint32_t>(bytes.data() + 40);
  manifest.last_frame.offset = load_le<std::uint32_t>(bytes.data() + 44);
  std::memcpy(manifest.last_frame.digest.data(), bytes.data() + 48,
              manifest.last_frame.digest.size());
  const std::byte* at = bytes.data() + kHeadBytes;
  for (std::size_t i = 0; i < count; ++i, at += kRunBytes) {
    const Manifest::RunName run{.number = load_le<std::uint32_t>(at),
                                .after = {load_le<std::uint64_t>(at + 8)},
                                .upto = {load_le<std::uint64_t>(at + 16)}};
    if (run.upto <= run.after || run.after != manifest.upto() || run.number >= manifest.next_number)
      return damaged("names runs that do not follow one another");
    manifest.runs.push_back(run);
  }
  return manifest;
}

}  // namespace journal::index
