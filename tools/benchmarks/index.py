# SPDX-License-Identifier: Apache-2.0
"""The time index by itself: the figures of index_bench, held against their goals."""
import json

from .machine import fitted_exponent, program, run

ENTRIES = [1_000_000, 10_000_000, 100_000_000]
GOAL_EXPONENT = 0.1
GOAL_LOOKUP_NS = 3000
GOAL_BYTES = 12
GOAL_BUILD = 20
# Of a block's newest version, of one in the past, of a block whether it was written or not.
LOOKUPS = ["lookup_ns", "lookup_past_ns", "lookup_random_block_ns"]


def index(settings):
    lengths = [word for entries in ENTRIES for word in ("--entries", str(entries))]
    printed = run([program("index_bench"), *lengths, "--dir", settings.work]).splitlines()
    lines = [json.loads(line) for line in printed]
    tiers = [line for line in lines if line["bench"] == "index_tiers"]
    exponents = {kind: fitted_exponent([(tier["entries"], tier[kind]) for tier in tiers])
                 for kind in LOOKUPS}
    slowest = max(tier[kind] for tier in tiers for kind in LOOKUPS)
    yield {"bench": "index_lookup",
           "ns_by_entries": {tier["entries"]: {kind: tier[kind] for kind in LOOKUPS}
                             for tier in tiers},
           "fitted_exponent": {kind: round(b, 3) for kind, b in exponents.items()},
           "goal_exponent": GOAL_EXPONENT, "goal_ns": GOAL_LOOKUP_NS,
           "met": max(exponents.values()) <= GOAL_EXPONENT and slowest <= GOAL_LOOKUP_NS}
    builds = [line for line in lines if line["bench"] == "index_build"]
    most_bytes = max(line["bytes_per_entry"] for line in [*tiers, *builds])
    yield {"bench": "index_bytes_per_entry",
           "bytes_by_entries": {line["entries"]: line["bytes_per_entry"]
                                for line in [*builds, *tiers]},
           "goal": GOAL_BYTES, "met": most_bytes <= GOAL_BYTES}
    slowest_build = min(line["million_entries_per_s"] for line in builds)
    yield {"bench": "index_build",
           "million_entries_per_s_and_core": {line["entries"]: line["million_entries_per_s"]
                                              for line in builds},
           "merge_million_entries_per_s": tiers[-1]["merge_million_per_s"],
           "goal": GOAL_BUILD, "met": slowest_build >= GOAL_BUILD}


FIGURES = {"index": index}
