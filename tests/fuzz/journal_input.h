// SPDX-License-Identifier: Apache-2.0
//
// What the targets of the journal share: a vault, checksums put right on bytes that the fuzzer made
// (it cannot compute them, and would never get behind them), and what must hold of every frame whose
// records can be read.
#pragma once

#include "journal/built_frame.h"
#include "journal/format.h"
#include "journal/record_codec.h"
#include "journal/vault.h"
#include "tests/fuzz/fuzz.h"

namespace fuzz {

// The one that the corpora were made with.
const journal::Vault& vault();

// Stores the keyed checksum of what lies before byte `at` there.
void seal_checksum(std::span<std::byte> bytes, std::size_t at);

// Makes a frame of `bytes`, as one at that place: uuid, place, padding, the sums of its header,
// records and runs. Leaves frames alone whose header says more than 256 KiB.
void seal_raw_frame(Bytes& bytes, std::uint32_t segment, std::uint64_t offset);

// A frame of the kind with the records and the runs that the input spells: how many (1), and of
// each its blocks and how they are stored (1) and a payload (a fill byte, or a chunk). What its
// header says of its records is true; it begins with `least` where the first one leaves it open.
journal::BuiltFrame frame_from(Input& in, journal::FrameKind kind, const journal::FramePlace& place,
                               journal::Stamp least);

// Reads all records and writes them again, until one is refused: what was read from what was
// written is written as the same bytes. Gives the number of records that could be read.
std::uint32_t check_round_trip(const journal::FrameHeader& header,
                               std::span<const std::byte> metadata);

// `entry`, as it is stored.
journal::StoredPiece stored_piece(const journal::WritePiece& piece,
                                  const journal::FrameHeader& header,
                                  std::span<const journal::RunEntry> runs);

}  // namespace fuzz
