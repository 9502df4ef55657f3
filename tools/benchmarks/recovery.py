# SPDX-License-Identifier: Apache-2.0
"""Starting again after kill -9, with a short and with a long history.

Both daemons are killed with the same changes not yet on the backing store; the journals' lengths
differ by a factor of a hundred. The time is from the start of the new process until a client has
read what was written last. The short history is a new one each time, since what was to be replayed
once stays in the journal.
"""
import os
import random
import statistics
import time

from .fixtures import History
from .machine import MIB, median_ratio, remove_tree
from .nbd_client import NbdClient
from .servers import Daemon

UNAPPLIED_BYTES = 32 * MIB
GOAL_RATIO = 1.2
ATTEMPTS = 10


def write_unapplied(daemon):
    """Writes and flushes, right after a checkpoint so that none comes in between; gives the last
    MiB, which lies at the end of what was written."""
    with NbdClient(daemon.socket, "vol") as client:
        for _ in range(ATTEMPTS):
            client.write(0, os.urandom(4096))
            client.flush()
            pieces = [os.urandom(MIB) for _ in range(UNAPPLIED_BYTES // MIB)]
            daemon.drain()
            checkpoint = daemon.volume("vol")["checkpoint_lsn"]
            for i, piece in enumerate(pieces):
                client.write(i * MIB, piece)
            client.flush()
            if daemon.volume("vol")["checkpoint_lsn"] == checkpoint:
                return pieces[-1]
            daemon.drain()
    raise RuntimeError("each time the changes were checkpointed before the kill")


def seconds_to_first_read(daemon, expected):
    begun = time.monotonic()
    daemon.spawn()
    while True:
        try:
            with NbdClient(daemon.socket, "vol") as client:
                read = client.read(UNAPPLIED_BYTES - MIB, MIB)
                seconds = time.monotonic() - begun
        except (FileNotFoundError, ConnectionError):
            if daemon.process.poll() is not None:
                raise RuntimeError(f"hindsightd ended: see {daemon.directory}/log") from None
            time.sleep(0.001)
            continue
        if read != expected:
            raise RuntimeError("after the kill the volume has not what was flushed")
        return seconds


def kill_and_start(history):
    """Seconds, and bytes of the journal when it was killed."""
    daemon = Daemon(history.directory)
    try:
        daemon.start()
        expected = write_unapplied(daemon)
        journal_bytes = history.journal_bytes + daemon.status()["journal"]["journal_bytes"]
        daemon.kill()
        return seconds_to_first_read(daemon, expected), journal_bytes
    finally:
        daemon.stop()


def recovery(settings):
    long = settings.fixtures.history(settings.seconds)
    seconds = {"short": [], "long": []}
    journal = {"short": [], "long": []}
    for round_number in range(settings.rounds):
        short = History(os.path.join(settings.work, f"killed-{round_number}"),
                        max(1, settings.seconds // 1000))
        histories = {"short": short, "long": long}
        for name in random.sample(list(histories), len(histories)):
            took, journal_bytes = kill_and_start(histories[name])
            seconds[name].append(took)
            journal[name].append(journal_bytes)
        remove_tree(short.directory)
    ratio = median_ratio(seconds["long"], seconds["short"])
    yield {"bench": "recovery_after_kill", "rounds": settings.rounds,
           "unapplied_bytes": UNAPPLIED_BYTES,
           "journal_bytes": {name: round(statistics.median(v)) for name, v in journal.items()},
           "journal_ratio": round(median_ratio(journal["long"], journal["short"]), 1),
           "seconds": {name: round(statistics.median(v), 4) for name, v in seconds.items()},
           "ratio": round(ratio, 3), "goal": GOAL_RATIO, "met": ratio <= GOAL_RATIO}


FIGURES = {"recovery": recovery}
