# SPDX-License-Identifier: Apache-2.0
"""Rolling a 100 GiB volume back in place, and forth again, after different amounts of change.

The volume is sparse, on a loop device: the kernel counts what is written to it, whoever says
otherwise. A cycle changes random blocks of what the volume holds, lets them reach the backing
store, asks --dry-run how many bytes differ, rolls back to before, and then back to the point that
the rollback named as its undo. Each time a new client reads a block that changed; the seconds are
from the command's start to its answer. More blocks are compared at the end. The journal's and the
backing store's bytes are counted until hydration has ended and is checkpointed, so that nothing
that the rollback causes is left out.
"""
import os
import random
import time

from .loop_device import LoopDevice
from .machine import GIB, MIB, remove_tree, wait_for
from .nbd_client import NbdClient
from .servers import Daemon, fio

VOLUME_BYTES = 100 * GIB
# Where the volume holds data: somewhere in its middle.
DATA_OFFSET = 60 * GIB
DATA_BYTES = 4 * GIB
# Most of each block compresses away, so that the journal of all this stays small.
COMPRESSIBLE = ["--buffer_compress_percentage=80", "--buffer_compress_chunk=4096"]
# Bytes that change, in blocks of so many.
CHANGES = [(16 * MIB, "4k"), (GIB, "64k"), (4 * GIB, "1m")]
# Blocks that are compared; of the smallest change one in 256 is hit.
SAMPLES = 4000
GOAL_JOURNAL_BYTES = 64 << 10
GOAL_BACKING_RATIO = 1.05
GOAL_SECONDS = 1


def sample(daemon, offsets):
    with NbdClient(daemon.socket, "vol") as client:
        return [client.read(offset, 4096) for offset in offsets]


class Cycle:
    """One amount of change, rolled back and forth."""

    def __init__(self, settings, daemon, device, change):
        self.settings, self.daemon, self.device = settings, daemon, device
        self.bytes, self.block = change

    def measure(self):
        offsets = [DATA_OFFSET + block * 4096
                   for block in random.sample(range(DATA_BYTES // 4096), SAMPLES)]
        before = sample(self.daemon, offsets)
        point = f"lsn:{self.daemon.newest_lsn('vol')}"
        self.write()
        after = sample(self.daemon, offsets)
        changed = [i for i in range(SAMPLES) if before[i] != after[i]]
        if not changed:
            raise RuntimeError(f"none of {SAMPLES} blocks has changed")
        offsets = [offsets[i] for i in changed]
        yield self.roll(point, offsets, [before[i] for i in changed])
        yield self.roll(self.undo, offsets, [after[i] for i in changed])

    def write(self):
        fio(self.daemon.uri("vol"), os.path.join(self.settings.work, "fio.json"),
            ["--rw=randwrite", f"--bs={self.block}", "--iodepth=32", f"--offset={DATA_OFFSET}",
             f"--size={DATA_BYTES}", f"--io_size={self.bytes}", "--end_fsync=1",
             *COMPRESSIBLE])
        self.daemon.drain()

    def roll(self, point, offsets, expected):
        daemon = self.daemon
        differ = daemon.document("rollback", "vol", "--at", point, "--dry-run")["changed_bytes"]
        journal = daemon.status()["journal"]["journal_bytes"]
        backing = self.device.written_bytes()
        begun = time.monotonic()
        answer = daemon.document("rollback", "vol", "--at", point, "--yes")
        returned = time.monotonic()
        first = sample(daemon, offsets[:1])
        seconds = time.monotonic() - begun
        at_once = daemon.status()["journal"]["journal_bytes"] - journal
        wait_for(lambda: "hydration" not in daemon.volume("vol"), 600, "the end of hydration")
        hydrated = time.monotonic() - returned
        daemon.drain()
        # Not before: what clients touch is copied first, and the hydration is to go its own way.
        if first + sample(daemon, offsets[1:]) != expected:
            raise RuntimeError(f"after the rollback to {point} blocks are not as they were")
        self.undo = answer["undo"]
        return {"changed_bytes": differ, "seconds_to_first_read": round(seconds, 3),
                "journal_bytes": daemon.status()["journal"]["journal_bytes"] - journal,
                "journal_bytes_at_first_read": at_once,
                "backing_bytes_per_changed_byte":
                    round((self.device.written_bytes() - backing) / differ, 4),
                "hydration_seconds": round(hydrated, 2)}


def rollback(settings):
    directory = os.path.join(settings.work, "rollback")
    os.makedirs(directory)
    disk = os.path.join(directory, "disk")
    with open(disk, "wb") as backing:
        backing.truncate(VOLUME_BYTES)
    device = LoopDevice(disk)
    daemon = Daemon(directory)
    try:
        daemon.start()
        daemon.cli("volume", "create", "vol", "--size", str(VOLUME_BYTES), "--backing",
                   device.path)
        fio(daemon.uri("vol"), os.path.join(settings.work, "fio.json"),
            ["--rw=write", "--bs=1m", "--iodepth=4", f"--offset={DATA_OFFSET}",
             f"--size={DATA_BYTES}", "--end_fsync=1", *COMPRESSIBLE])
        daemon.drain()
        rolls = [roll for change in CHANGES
                 for roll in Cycle(settings, daemon, device, change).measure()]
    finally:
        daemon.stop()
        device.close()
        remove_tree(directory)
    worst = {key: max(roll[key] for roll in rolls)
             for key in ("seconds_to_first_read", "journal_bytes",
                         "backing_bytes_per_changed_byte")}
    yield {"bench": "rollback", "volume_bytes": VOLUME_BYTES, "rollbacks": rolls, "worst": worst,
           "goal_seconds": GOAL_SECONDS, "goal_journal_bytes": GOAL_JOURNAL_BYTES,
           "goal_backing_bytes_per_changed_byte": GOAL_BACKING_RATIO,
           "met": (worst["seconds_to_first_read"] <= GOAL_SECONDS
                   and worst["journal_bytes"] <= GOAL_JOURNAL_BYTES
                   and worst["backing_bytes_per_changed_byte"] <= GOAL_BACKING_RATIO)}


FIGURES = {"rollback": rollback}
