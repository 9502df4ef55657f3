# SPDX-License-Identifier: Apache-2.0
"""Reading a view: at random against the live volume, in order against nbdkit with a plain file.

Random: 4 KiB, 32 in flight, on a view that is warm: the range that is read was read once before and
fits into the daemon's memory for blocks of the past (64 MiB of them, whatever is being read). What
a range beyond it costs is printed too, without a floor: there a block costs reading its run.

In order: nbdcopy of the whole volume to nowhere. The journal is read past the page cache, so the
plain file's pages are dropped before each of its turns; how fast they would be read from memory is
printed too.
"""
import os
import random
import statistics
import subprocess
import tempfile

from .machine import MIB, forget_cached, median_ratio, timed, wait_for
from .servers import fio

WARM_BYTES = 32 * MIB
RANDOM_SECONDS = 4
RANDOM_FLOOR = 0.8
SEQUENTIAL_FLOOR = 0.7


class PlainFile:
    """nbdkit's file plugin on a plain file."""

    def __init__(self, work, file):
        self.file = file
        self.directory = tempfile.mkdtemp(dir=work)
        self.socket = os.path.join(self.directory, "sock")
        self.uri = f"nbd+unix:///?socket={self.socket}"

    def __enter__(self):
        self.process = subprocess.Popen(["nbdkit", "--foreground", "--readonly",
                                         f"--unix={self.socket}", "file", self.file],
                                        stdin=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(self.socket), 30, "nbdkit's start")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def random_iops(settings, uri, range_bytes):
    job = fio(uri, os.path.join(settings.work, "fio.json"),
              ["--rw=randread", "--bs=4k", "--iodepth=32", f"--size={range_bytes}", "--time_based",
               f"--runtime={RANDOM_SECONDS}", "--norandommap"])
    return job["read"]["iops"]


def random_pairs(settings, volume, range_bytes, rounds):
    uris = {"view": volume.view_uri, "live": volume.daemon.uri(volume.name)}
    fio(volume.view_uri, os.path.join(settings.work, "fio.json"),
        ["--rw=read", "--bs=1m", f"--size={range_bytes}"])
    iops = {name: [] for name in uris}
    for _ in range(rounds):
        for name in random.sample(list(uris), len(uris)):
            iops[name].append(random_iops(settings, uris[name], range_bytes))
    return iops


def view_random_reads(settings):
    volume = settings.fixtures.filled_volume()
    warm = random_pairs(settings, volume, WARM_BYTES, settings.rounds)
    beyond = random_pairs(settings, volume, volume.size, 1)
    ratio = median_ratio(warm["view"], warm["live"])
    yield {"bench": "view_random_reads_4k_qd32", "rounds": settings.rounds,
           "range_bytes": WARM_BYTES,
           "iops": {name: round(statistics.median(v)) for name, v in warm.items()},
           "ratio_to_live": round(ratio, 3), "floor": RANDOM_FLOOR, "met": ratio >= RANDOM_FLOOR,
           "cold": {"range_bytes": volume.size,
                    "iops": {name: round(v[0]) for name, v in beyond.items()},
                    "ratio_to_live": round(beyond["view"][0] / beyond["live"][0], 3)}}


def view_sequential_reads(settings):
    volume = settings.fixtures.filled_volume()
    seconds = {"view": [], "plain": []}
    with PlainFile(settings.work, volume.plain) as plain:
        uris = {"view": volume.view_uri, "plain": plain.uri}
        for _ in range(settings.rounds):
            for name in random.sample(list(uris), len(uris)):
                forget_cached(volume.plain)
                seconds[name].append(timed(["nbdcopy", uris[name], "null:"]))
        from_memory = timed(["nbdcopy", plain.uri, "null:"])
    ratio = median_ratio(seconds["plain"], seconds["view"])
    speed = {name: volume.size / MIB / statistics.median(v) for name, v in seconds.items()}
    yield {"bench": "view_sequential_reads", "rounds": settings.rounds, "bytes": volume.size,
           "mib_per_s": {name: round(v, 1) for name, v in speed.items()},
           "ratio_to_nbdkit_file": round(ratio, 3), "floor": SEQUENTIAL_FLOOR,
           "met": ratio >= SEQUENTIAL_FLOOR,
           "nbdkit_file_from_memory_mib_per_s": round(volume.size / MIB / from_memory, 1)}


FIGURES = {"view_random_reads": view_random_reads, "view_sequential_reads": view_sequential_reads}
