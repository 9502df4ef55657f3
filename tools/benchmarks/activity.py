# SPDX-License-Identifier: Apache-2.0
"""What happened to a volume, told and recorded.

Told: the timeline of a whole year in which one second of each minute had its writes, asked of the
API on a connection that stays open, in steps of a day and of an hour; the first answers, with cold
caches, are among them. Recorded: what metering adds to a write, and how long a second's pulse is in
the journal, from pulse_bench.
"""
import contextlib
import json
import os
import statistics
import time

from .api_client import ask
from .fixtures import History
from .machine import percentile, program, remove_tree, run
from .servers import Daemon

ASKED = 50
YEAR_SECONDS = 365 * 86400
EVERY_SECONDS = 60
STEPS = {"day": 86400, "hour": 3600}
GOAL_YEAR_MS = 50
GOAL_NS_PER_WRITE = 200
GOAL_BYTES = 64


def year_of_activity(settings):
    history = History(os.path.join(settings.work, "year"), YEAR_SECONDS // EVERY_SECONDS,
                      EVERY_SECONDS)
    daemon = Daemon(history.directory)
    took = {name: [] for name in STEPS}
    told = {}
    try:
        daemon.start()
        with contextlib.closing(daemon.connect()) as connection:
            for _ in range(ASKED):
                for name, step in STEPS.items():
                    begun = time.monotonic()
                    answer, _ = ask(connection, "GET", "/api/volumes/vol/timeline?since=first"
                                                       f"&until=now&step={step}")
                    took[name].append((time.monotonic() - begun) * 1e3)
                    told[name] = len(json.loads(answer)["steps"])
    finally:
        daemon.stop()
        remove_tree(history.directory)
    for name, samples in took.items():
        p99 = percentile(samples, 99)
        yield {"bench": f"year_of_activity_by_{name}", "asked": ASKED, "steps": told[name],
               "first_ms": round(samples[0], 2), "p50_ms": round(statistics.median(samples), 2),
               "p99_ms": round(p99, 2), "goal_p99_ms": GOAL_YEAR_MS, "met": p99 <= GOAL_YEAR_MS}


def pulses(_):
    measured = json.loads(run([program("pulse_bench")]))
    yield {**measured, "goal_ns_per_write": GOAL_NS_PER_WRITE, "goal_bytes": GOAL_BYTES,
           "met": (max(measured["ns_per_write"].values()) <= GOAL_NS_PER_WRITE
                   and measured["bytes_of_a_second"]["most"] <= GOAL_BYTES)}


FIGURES = {"year_of_activity": year_of_activity, "pulses": pulses}
