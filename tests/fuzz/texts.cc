// SPDX-License-Identifier: Apache-2.0
//
// The small things that people and file names spell: sizes, uuids, zones, names of volumes, labels
// of marks, names of segments.
#include <fmt/format.h>

#include "journal/format.h"
#include "journal/state.h"
#include "journal/uuid.h"
#include "restore/point.h"
#include "restore/time_zone.h"
#include "tests/fuzz/fuzz.h"
#include "tools/api/size.h"

FUZZ_TARGET(texts) {
  fuzz::Input in(input);
  const std::string text = in.text_of_rest();
  if (const auto size = tools::api::parse_size(text); size.ok()) {
    const auto again = tools::api::parse_size(fmt::format("{}", *size));
    CHECK(again.ok() && *again == *size);
  }
  if (const auto uuid = journal::Uuid::parse(text); uuid.ok()) {
    const auto again = journal::Uuid::parse(uuid->to_string());
    CHECK(again.ok() && *again == *uuid);
  }
  if (const auto zone = restore::TimeZone::find(text); zone.ok()) {
    const auto again = restore::TimeZone::find(zone->name());
    CHECK(again.ok());
    for (const std::int64_t at : {std::int64_t{0}, std::int64_t{1'582'455'360'000'000'000}, INT64_MAX})
      CHECK(again->offset_seconds_at({at}) == zone->offset_seconds_at({at}));
  }
  if (const auto number = journal::segment_number(text))
    CHECK(journal::segment_name(*number) == text);
  if (journal::check_volume_name(text).ok()) CHECK(!text.empty() && text.size() <= 64);
  // What the command line takes as a label, the journal takes too.
  if (restore::check_mark_label(text).ok()) CHECK(journal::check_mark_label(text).ok());
}
