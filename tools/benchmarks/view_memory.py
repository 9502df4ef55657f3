# SPDX-License-Identifier: Apache-2.0
"""Resident memory of the daemon while 100 views are open and read from, and a volume is written.

The vault has the long history. Half of the views are of random seconds of it, whose payload is
shared; the other half are of points of a second volume that was filled with data of its own, so
that everything that may be kept in memory is. Each view is read in order and at random, all of them
side by side, while the second volume is written to without a pause.
"""
import os
import random
import subprocess
import threading

from .machine import MIB
from .nbd_client import NbdClient
from .servers import Daemon, fio
from .view_open import random_second

VIEWS = 100
FILL_BYTES = 1024 * MIB
SEQUENTIAL_READS = 32
RANDOM_READS = 500
GOAL_BYTES = 512 * MIB


def read_from(client):
    start = random.randrange(client.size // MIB - SEQUENTIAL_READS) * MIB
    for i in range(SEQUENTIAL_READS):
        client.read(start + i * MIB, MIB)
    for _ in range(RANDOM_READS):
        client.read(random.randrange(client.size // 4096) * 4096, 4096)


def read_all(clients):
    failures = []

    def read(client):
        try:
            read_from(client)
        except Exception as error:  # told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=read, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class EndlessWrites:
    """fio in the background, until it is told to end."""

    def __init__(self, uri, size):
        self.command = ["fio", "--name=load", "--ioengine=nbd", f"--uri={uri}", "--rw=randwrite",
                        "--bs=16k", "--iodepth=32", f"--size={size}", "--time_based",
                        "--runtime=3600", "--refill_buffers", "--output=/dev/null"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def view_memory(settings):
    history = settings.fixtures.history(settings.seconds)
    daemon = Daemon(history.directory)
    clients = []
    try:
        daemon.start()
        daemon.cli("volume", "create", "full", "--size", str(FILL_BYTES))
        first = daemon.newest_lsn("full")
        fio(daemon.uri("full"), os.path.join(settings.work, "fio.json"),
            ["--rw=randwrite", "--bs=64k", "--iodepth=32", f"--size={FILL_BYTES}",
             "--end_fsync=1"])
        last = daemon.newest_lsn("full")
        with EndlessWrites(daemon.uri("full"), FILL_BYTES):
            for i in range(VIEWS):
                export = (f"vol@{random_second(history)}" if i % 2 == 0
                          else f"full@lsn:{random.randrange(first, last)}")
                clients.append(NbdClient(daemon.socket, export))
            read_all(clients)
            open_views = daemon.status()["index"]["open_views"]
        peak = daemon.resident_peak()
    finally:
        for client in clients:
            client.close()
        daemon.stop()
    yield {"bench": "memory_with_views", "seconds_of_history": history.seconds,
           "open_views": open_views, "resident_peak_mib": round(peak / MIB, 1),
           "goal_mib": GOAL_BYTES // MIB, "met": peak <= GOAL_BYTES and open_views >= VIEWS}


FIGURES = {"view_memory": view_memory}
