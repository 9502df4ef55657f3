// SPDX-License-Identifier: Apache-2.0
#include "journal/hook_file.h"

#include <fmt/format.h>

#include <cstring>

#include "cdp/base/endian.h"

namespace journal {
namespace {

using cdp::load_le;
using cdp::store_le;

constexpr std::uint64_t kMagic = 0x00534B4F4F485348;  // "HSHOOKS\0"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeadBytes = 80;
constexpr std::size_t kHookBytes = 12;
constexpr std::size_t kChecksumBytes = 8;

Error damaged(const char* what) { return make_error(EIO, "a file of hooks {}", what); }

}  // namespace

std::string hook_file_name(std::uint32_t segment) { return fmt::format("{:010}.hooks", segment); }

std::vector<std::byte> encode_hooks(const SegmentHooks& hooks, const Vault& vault) {
  std::vector<std::byte> bytes(kHeadBytes + hooks.hooks.size() * kHookBytes + kChecksumBytes);
  std::byte* at = bytes.data();
  store_le(at, kMagic);
  store_le(at + 8, kVersion);
  store_le(at + 12, hooks.segment);
  std::memcpy(at + 16, vault.uuid.bytes.data(), vault.uuid.bytes.size());
  store_le(at + 32, hooks.length);
  std::memcpy(at + 40, hooks.digest.data(), hooks.digest.size());
  store_le(at + 72, static_cast<std::uint32_t>(hooks.hooks.size()));  // 76 to 79 are reserved
  at += kHeadBytes;
  for (const Hook& hook : hooks.hooks) {
    store_le(at, hook.fingerprint.high);
    store_le(at + 8, hook.frame_offset);
    at += kHookBytes;
  }
  store_le(at, checksum(vault.secret, std::span{bytes}.first(bytes.size() - kChecksumBytes)));
  return bytes;
}

Result<SegmentHooks> decode_hooks(std::span<const std::byte> bytes, const Vault& vault) {
  if (bytes.size() < kHeadBytes + kChecksumBytes || load_le<std::uint64_t>(bytes.data()) != kMagic)
    return damaged("is not one");
  if (load_le<std::uint32_t>(bytes.data() + 8) != kVersion) return damaged("has another version");
  if (std::memcmp(bytes.data() + 16, vault.uuid.bytes.data(), vault.uuid.bytes.size()) != 0)
    return damaged("belongs to another vault");
  const std::size_t count = load_le<std::uint32_t>(bytes.data() + 72);
  if (bytes.size() != kHeadBytes + count * kHookBytes + kChecksumBytes)
    return damaged("has another length than it says");
  const auto covered = bytes.first(bytes.size() - kChecksumBytes);
  if (load_le<std::uint64_t>(bytes.data() + covered.size()) != checksum(vault.secret, covered))
    return damaged("is damaged");

  SegmentHooks hooks{.segment = load_le<std::uint32_t>(bytes.data() + 12),
                     .length = load_le<std::uint64_t>(bytes.data() + 32)};
  std::memcpy(hooks.digest.data(), bytes.data() + 40, hooks.digest.size());
  hooks.hooks.reserve(count);
  const std::byte* at = bytes.data() + kHeadBytes;
  for (std::size_t i = 0; i < count; ++i, at += kHookBytes) {
    const Hook hook{.fingerprint = {.high = load_le<std::uint64_t>(at)},
                    .frame_offset = load_le<std::uint32_t>(at + 8)};
    if (!HookIndex::is_hook(hook.fingerprint) || hook.frame_offset % kAppendUnit != 0 ||
        hook.frame_offset >= hooks.length || hook.frame_offset >= kSegmentBytesMax)
      return damaged("has hooks where none can be");
    hooks.hooks.push_back(hook);
  }
  if (hooks.segment == 0) return damaged("is of no segment");
  return hooks;
}

}  // namespace journal
