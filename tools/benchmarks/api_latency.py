# SPDX-License-Identifier: Apache-2.0
"""How long the API takes for each reading verb, while clients keep the appliance at 70 % of peak.

One client over HTTPS, on a connection that stays open, asks for everything that a page or the
command reads, in random order and with pauses, so that it is no load of its own. From the first
byte sent until the answer is read whole. The appliance has some of everything: marks, clones,
users, jobs, and what is to be found of them in the audit. The difference is one of two marks
between which 1 MiB changed, in single blocks.
"""
import contextlib
import datetime
import os
import random
import time

from .api_client import PASSWORD, ask
from .busy_appliance import VOLUME, BusyAppliance
from .machine import percentile
from .nbd_client import NbdClient

SAMPLES = 200  # of each verb, or fewer where they take so long together:
SECONDS_MAX = 120
PAUSE_SECONDS = 0.01
CHANGED_BLOCKS = 256
GOAL_P99_MS = 5
OF_VOLUME = f"/api/volumes/{VOLUME}"


def make_some_of_everything(busy):
    daemon, api = busy.daemon, busy.api
    for i in range(50):
        daemon.cli("mark", VOLUME, f"mark-{i}")
    daemon.cli("mark", VOLUME, "before")
    with NbdClient(daemon.socket, VOLUME) as client:
        for block in random.sample(range(busy.size // 4096), CHANGED_BLOCKS):
            client.write(block * 4096, os.urandom(4096))
        client.flush()
    daemon.cli("mark", VOLUME, "after")
    for i in range(5):
        daemon.cli("clone", VOLUME, "--at", "mark:before", "--as", f"clone-{i}")
    with contextlib.closing(api.connect()) as at:
        for i in range(10):
            ask(at, "POST", "/api/users", {"name": f"user-{i}", "password": PASSWORD,
                                           "roles": ["viewer"]}, api.headers)
    daemon.cli("verify")


def targets(begun):
    since = datetime.datetime.fromtimestamp(random.uniform(begun, time.time() - 1),
                                            datetime.timezone.utc)
    return {"status": "/api/status", "volumes": "/api/volumes", "volume": OF_VOLUME,
            "points": f"{OF_VOLUME}/points",
            "points_at": f"{OF_VOLUME}/points?at={since:%Y-%m-%dT%H:%M:%S.%fZ}",
            "timeline": f"{OF_VOLUME}/timeline",
            "diff": f"{OF_VOLUME}/diff?from=mark:before&to=mark:after",
            "clones": "/api/clones", "marks": "/api/marks", "jobs": "/api/jobs",
            "job": "/api/jobs/1", "audit": "/api/audit?limit=100", "users": "/api/users",
            "tokens": "/api/tokens", "session": "/api/session", "metrics": "/metrics",
            "readyz": "/readyz"}


def api_latency(settings):
    with BusyAppliance(settings) as busy:
        make_some_of_everything(busy)
        busy.begin_load()
        load_begun = time.time()
        time.sleep(2)
        begun, served = time.monotonic(), busy.requests()
        took = {name: [] for name in targets(load_begun)}
        with contextlib.closing(busy.api.connect()) as connection:
            for name in random.sample(list(took) * SAMPLES, len(took) * SAMPLES):
                if time.monotonic() - begun > SECONDS_MAX:
                    break
                time.sleep(random.uniform(0, PAUSE_SECONDS))
                target = targets(load_begun)[name]
                asked = time.monotonic()
                busy.api.get(connection, target)
                took[name].append((time.monotonic() - asked) * 1e3)
        load = busy.load_document((busy.requests() - served) / (time.monotonic() - begun))
    p99 = {name: percentile(v, 99) for name, v in took.items()}
    yield {"bench": "api_latency", "load": load,
           "samples_of_each_min": min(map(len, took.values())),
           "p50_ms": {name: round(percentile(v, 50), 2) for name, v in took.items()},
           "p99_ms": {name: round(v, 2) for name, v in p99.items()},
           "max_ms": {name: round(max(v), 2) for name, v in took.items()},
           "p99_ms_of_all": round(percentile([ms for v in took.values() for ms in v], 99), 2),
           "goal_p99_ms": GOAL_P99_MS, "met": max(p99.values()) <= GOAL_P99_MS}


FIGURES = {"api_latency": api_latency}
