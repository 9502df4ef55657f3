# SPDX-License-Identifier: Apache-2.0
"""Whether a volume takes writes as fast with much history as with little.

One appliance is written to until its history is of so many bytes; then it takes turns with young
ones, of a hundredth of that, which are made anew for each slot. Payload is synthetic: compressible,
so that the history fits on a disk, and different in each block.
"""
import contextlib
import statistics

from .comparison import NOISE, interval, rounds_of
from .machine import GIB, median_ratio
from .nbd_load import load
from .servers import Hindsight
from .workloads import SLOT

WRITES = ["--block", "4096", "--depth", "32", "--compressible", "97"]
OLD_BYTES = 100 * GIB
YOUNG_BYTES = OLD_BYTES // 100
STEP = GIB
GOAL = 0.95


def grow(server, total_bytes, seed):
    for step in range(total_bytes // STEP):
        load(server.uri(), WRITES, STEP, seed + step)
    server.drain()


@contextlib.contextmanager
def young(settings, number):
    server = Hindsight(settings)
    try:
        server.start()
        grow(server, YOUNG_BYTES, number)
        yield server
    finally:
        server.stop()


def slot(server, seed):
    told = load(server.uri(), WRITES, SLOT, seed)
    server.drain()
    return {"per_second": told["requests"] / told["seconds"]}


def young_slot(settings, number):
    with young(settings, number) as server:
        return slot(server, number)


def history_growth(settings):
    old = Hindsight(settings)
    try:
        old.start()
        grow(old, OLD_BYTES, 1000)
        take = {"old": lambda number: slot(old, number),
                "young": lambda number: young_slot(settings, number),
                "young-again": lambda number: young_slot(settings, number + 100)}
        slots = rounds_of(take, settings.rounds, lambda of, number: of(number))
        journal = old.journal()["journal_bytes"]
    finally:
        old.stop()
    rates = {name: [took["per_second"] for took in taken] for name, taken in slots.items()}
    ratios = [a / b for a, b in zip(rates["old"], rates["young"])]
    ratio, again = statistics.median(ratios), median_ratio(rates["young-again"], rates["young"])
    is_quiet = NOISE[0] <= again <= NOISE[1]
    yield {"bench": "history_growth", "rounds": settings.rounds, "old_bytes": OLD_BYTES,
           "young_bytes": YOUNG_BYTES, "old_journal_bytes": journal,
           "per_second": {name: round(statistics.median(each)) for name, each in rates.items()},
           "ratio": round(ratio, 3), "interval": interval(ratios), "goal": GOAL,
           "is_quiet": is_quiet, "met": is_quiet and ratio >= GOAL}


FIGURES = {"history_growth": history_growth}
