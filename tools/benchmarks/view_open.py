# SPDX-License-Identifier: Apache-2.0
"""Opening a view at a random second: of a long history, and of one a thousand times shorter.

An open is everything a client waits for: connecting, negotiating the export NAME@TIME to its end,
and one first read of 4 KiB at a random place. Opens of the two histories take turns, so that what
else the machine does slows both; none is left out, the first ones with cold caches neither.
"""
import datetime
import random
import statistics
import time

from .machine import percentile
from .nbd_client import NbdClient
from .servers import Daemon

OPENS = 1000
GOAL_MS = 50
GOAL_GROWTH = 1.5
SHORT_SECONDS = 1000


def random_second(history):
    second = random.randrange(history.first_s, history.last_s)
    return datetime.datetime.fromtimestamp(second, datetime.timezone.utc).isoformat()


def open_ms(daemon, point):
    begun = time.monotonic()
    with NbdClient(daemon.socket, f"vol@{point}") as client:
        client.read(random.randrange(client.size // 4096) * 4096, 4096)
        return (time.monotonic() - begun) * 1e3


def summary(samples):
    return {"p50_ms": round(percentile(samples, 50), 3), "p99_ms": round(percentile(samples, 99), 3),
            "max_ms": round(max(samples), 3), "mean_ms": round(statistics.mean(samples), 3)}


def view_open(settings):
    histories = [settings.fixtures.history(SHORT_SECONDS),
                 settings.fixtures.history(settings.seconds)]
    pairs = [(history, Daemon(history.directory)) for history in histories]
    by_time = {history.seconds: [] for history in histories}
    by_lsn = {history.seconds: [] for history in histories}
    try:
        for _, daemon in pairs:
            daemon.start()
        for _ in range(OPENS):
            for history, daemon in random.sample(pairs, len(pairs)):
                by_time[history.seconds].append(open_ms(daemon, random_second(history)))
                lsn = random.randrange(1, history.lsn)
                by_lsn[history.seconds].append(open_ms(daemon, f"lsn:{lsn}"))
    finally:
        for _, daemon in pairs:
            daemon.stop()
    short, long = (percentile(by_time[history.seconds], 99) for history in histories)
    yield {"bench": "view_open", "opens": OPENS,
           "by_time": {seconds: summary(samples) for seconds, samples in by_time.items()},
           "by_lsn": {seconds: summary(samples) for seconds, samples in by_lsn.items()},
           "goal_p99_ms": GOAL_MS, "p99_growth": round(long / short, 3),
           "goal_p99_growth": GOAL_GROWTH,
           "met": long <= GOAL_MS and long / short <= GOAL_GROWTH}


FIGURES = {"view_open": view_open}
