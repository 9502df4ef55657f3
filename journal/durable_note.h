// SPDX-License-Identifier: Apache-2.0
//
// DurableNote: the newest LSN that was answered as durable, kept in the state directory, which is
// another storage domain than the vault. It is written lazily, so it may be old; a recovered
// journal that ends before it has lost acknowledged history (rule 3). FORMAT.md, "STATE/durable".
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "cdp/io/disk.h"
#include "journal/records.h"
#include "journal/vault.h"

namespace journal {

inline constexpr char kDurableNoteName[] = "durable";

std::vector<std::byte> encode_durable_note(Stamp newest, const Vault& vault);
// EINVAL when it is of another vault, EIO when it is damaged.
Result<Stamp> decode_durable_note(std::span<const std::byte> bytes, const Vault& vault);

// Nothing where there is none, or it is damaged (then it can tell nothing).
Task<Result<std::optional<Stamp>>> read_durable_note(cdp::Directory& state, const Vault& vault);

}  // namespace journal
