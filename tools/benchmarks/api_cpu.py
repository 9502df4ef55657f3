# SPDX-License-Identifier: Apache-2.0
"""What a client's request costs the daemon while people watch it.

The appliance's clients keep it at 70 % of its peak, without a pause. Turns follow each other: with
20 dashboards that poll each second, with 20 that listen to events, and with nobody. A turn's figure
is the processor time of the whole daemon, divided by the requests of NBD clients that it answered
meanwhile; what the watchers cost is in it. The turns of a round are in random order, and compared
with each other.
"""
import contextlib
import random
import statistics
import time

from .api_client import Dashboards, Listeners
from .busy_appliance import VOLUME, BusyAppliance
from .machine import median_ratio

WATCHERS = 20
ROUNDS_MIN = 7
TURN_SECONDS = 10
SETTLE_SECONDS = 1
GOAL_RATIO = 1.03


def cpu_turn(busy, watchers):
    """CPU seconds per request, requests per second, and answers or events that watchers had."""
    with watchers as crowd:
        time.sleep(SETTLE_SECONDS)
        seen = crowd.done if crowd else 0
        begun, served, cpu = time.monotonic(), busy.requests(), busy.daemon.cpu_seconds()
        time.sleep(TURN_SECONDS)
        cpu = busy.daemon.cpu_seconds() - cpu
        served = busy.requests() - served
        elapsed = time.monotonic() - begun
        seen = crowd.done - seen if crowd else 0
    return cpu / served, served / elapsed, seen / elapsed


def api_cpu(settings):
    rounds = max(settings.rounds, ROUNDS_MIN)
    with BusyAppliance(settings) as busy:
        kinds = {"nobody": contextlib.nullcontext,
                 "dashboards": lambda: Dashboards(busy.api, WATCHERS, VOLUME),
                 "listeners": lambda: Listeners(busy.api, WATCHERS)}
        busy.begin_load()
        turns = {name: [] for name in kinds}
        for _ in range(rounds):
            for name in random.sample(list(kinds), len(kinds)):
                turns[name].append(cpu_turn(busy, kinds[name]()))
        load = busy.load_document(statistics.median(rate for _, rate, _ in turns["nobody"]))
    cost = {name: [cost for cost, _, _ in of] for name, of in turns.items()}
    for name in ("dashboards", "listeners"):
        ratio = median_ratio(cost[name], cost["nobody"])
        yield {"bench": f"cpu_with_{name}", "load": load, "rounds": rounds, name: WATCHERS,
               "answers_per_s" if name == "dashboards" else "events_per_s":
                   round(statistics.median(seen for _, _, seen in turns[name]), 1),
               "cpu_us_per_request": {of: round(statistics.median(cost[of]) * 1e6, 2)
                                      for of in ("nobody", name)},
               "ratio": round(ratio, 4), "goal": GOAL_RATIO, "met": ratio <= GOAL_RATIO}


FIGURES = {"api_cpu": api_cpu}
