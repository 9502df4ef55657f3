# SPDX-License-Identifier: Apache-2.0
"""What deduplication finds of what there is to find, and the memory of its index of old blocks.

A volume is written once, sequentially, half of it repetitions of earlier stretches of it: the load
says how many bytes these are. In little memory nearly all of them are of old blocks, which the table
of recent ones has forgotten, and a stretch is found by the hooks in it: the longer it is, the surer.
"""
import json

from .machine import GIB, MIB, program, run
from .nbd_load import load
from .servers import Hindsight

BYTES = 4 * GIB
DUPLICATES_PERCENT = 50
REQUEST = ["--block", str(MIB), "--depth", "4", "--sequential"]
BLOCK = 4096
STRETCH = 64 * 1024
GOAL_FOUND = 0.95
# By bytes of the stretch: what hooks that bring the blocks behind them alone found in a trial.
GOALS_OLD = {64 * 1024: 0.18, 256 * 1024: 0.42, MIB: 0.77, 4 * MIB: 0.94}
GOAL_MIB_PER_TIB = 64


def found_of(settings, stretch_bytes, dedup_memory, total_bytes=BYTES):
    """The part of the repeated bytes that was not stored again."""
    server = Hindsight(settings, total_bytes, sparse=True)
    server.daemon.options += ["--dedup-memory", str(dedup_memory)]
    try:
        server.start()
        told = load(server.uri(), [*REQUEST, "--duplicates", str(DUPLICATES_PERCENT),
                                   "--stretch", str(stretch_bytes // BLOCK)], total_bytes, 1)
        journal = server.journal()
    finally:
        server.stop()
    found_bytes = journal["client_bytes"] - journal["unique_bytes"]
    return {"stretch_bytes": stretch_bytes, "dedup_memory": dedup_memory,
            "repeated_bytes": told["repeated_bytes"], "found_bytes": found_bytes,
            "found": round(found_bytes / told["repeated_bytes"], 4),
            "dedup_reads": journal["dedup_reads"], "seconds": round(told["seconds"], 1)}


def found(settings):
    """With 64 MiB of memory, which is enough for all the fingerprints of 4 GiB."""
    line = found_of(settings, STRETCH, 64 * MIB)
    yield {"bench": "dedup_found", **line, "goal": GOAL_FOUND, "met": line["found"] >= GOAL_FOUND}


def found_old(settings):
    """With 1 MiB of memory: the table of recent blocks covers 256 MiB."""
    for stretch_bytes, goal in GOALS_OLD.items():
        line = found_of(settings, stretch_bytes, MIB)
        yield {"bench": "dedup_found_old", **line, "goal": goal, "met": line["found"] >= goal}


def index_memory(settings):
    """Of the index of old blocks, for each TiB of stored blocks."""
    for printed in run([program("dedup_bench")]).splitlines():
        line = json.loads(printed)
        yield {**line, "goal_mib_per_tib": GOAL_MIB_PER_TIB,
               "met": line["mib_per_tib"] <= GOAL_MIB_PER_TIB}


FIGURES = {"dedup_found": found, "dedup_found_old": found_old, "dedup_index_memory": index_memory}
