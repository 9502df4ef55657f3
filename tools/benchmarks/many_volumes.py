# SPDX-License-Identifier: Apache-2.0
"""What 1,000 volumes cost that nobody uses: a start, processor time, memory.

Their backing files are the daemon's own and sparse. A start is from the new process until its API
answers at the control socket, after a clean stop; memory is what is resident some seconds later,
less that of a daemon with one volume.
"""
import contextlib
import os
import statistics
import time

from .api_client import ask
from .machine import GIB, remove_tree, wait_for
from .servers import Daemon

VOLUMES = 1000
VOLUME_BYTES = GIB
SETTLE_SECONDS = 5
IDLE_SECONDS = 30
GOAL_START_SECONDS = 3
GOAL_IDLE_CPU = 0.01
GOAL_BYTES_PER_VOLUME = 256 << 10


def idle_cpu(daemon):
    """Share of a processor that the daemon takes while nothing happens."""
    begun, cpu = time.monotonic(), daemon.cpu_seconds()
    time.sleep(IDLE_SECONDS)
    return (daemon.cpu_seconds() - cpu) / (time.monotonic() - begun)


def daemon_with(directory, count):
    os.makedirs(directory)
    daemon = Daemon(directory).start()
    with contextlib.closing(daemon.connect()) as connection:
        for i in range(count):
            ask(connection, "POST", "/api/volumes", {"name": f"vol-{i}",
                                                     "size_bytes": VOLUME_BYTES})
    return daemon


def is_healthy(daemon):
    try:
        with contextlib.closing(daemon.connect()) as connection:
            ask(connection, "GET", "/healthz")
    except (FileNotFoundError, ConnectionError):
        return False
    return True


def start_seconds(daemon):
    daemon.stop()
    begun = time.monotonic()
    daemon.spawn()
    wait_for(lambda: is_healthy(daemon), 60, f"hindsightd's start in {daemon.directory}", 0.002)
    return time.monotonic() - begun


def many_volumes(settings):
    daemons = {count: daemon_with(os.path.join(settings.work, f"volumes-{count}"), count)
               for count in (1, VOLUMES)}
    try:
        starts = {count: [start_seconds(daemon) for _ in range(settings.rounds)]
                  for count, daemon in daemons.items()}
        time.sleep(SETTLE_SECONDS)
        resident = {count: daemon.resident() for count, daemon in daemons.items()}
        cpu = {count: idle_cpu(daemon) for count, daemon in daemons.items()}
        served = len(daemons[VOLUMES].status()["volumes"])
    finally:
        for daemon in daemons.values():
            daemon.stop()
            remove_tree(daemon.directory)
    start = statistics.median(starts[VOLUMES])
    of_each = (resident[VOLUMES] - resident[1]) / (VOLUMES - 1)
    yield {"bench": "many_volumes", "volumes": served, "rounds": settings.rounds,
           "start_seconds": {count: round(statistics.median(v), 3) for count, v in starts.items()},
           "goal_start_seconds": GOAL_START_SECONDS,
           "idle_cpu_percent": {count: round(v * 100, 2) for count, v in cpu.items()},
           "goal_idle_cpu_percent": GOAL_IDLE_CPU * 100,
           "resident_kib": {count: v >> 10 for count, v in resident.items()},
           "kib_per_volume": round(of_each / 1024, 1),
           "goal_kib_per_volume": GOAL_BYTES_PER_VOLUME >> 10,
           "met": (served == VOLUMES and start <= GOAL_START_SECONDS
                   and cpu[VOLUMES] <= GOAL_IDLE_CPU and of_each <= GOAL_BYTES_PER_VOLUME)}


FIGURES = {"many_volumes": many_volumes}
