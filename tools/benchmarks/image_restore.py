# SPDX-License-Identifier: Apache-2.0
"""Restoring a full volume to a raw file, against nbdcopy of the same bytes from a plain raw file.

Both begin with what they read out of the page cache and a disk that has nothing to write, and end
when the copy is durable: `hindsight restore` syncs its file, nbdcopy is told to with --flush.
"""
import os
import random
import statistics

from .machine import MIB, forget_cached, median_ratio, run, timed
from .view_reads import PlainFile

FLOOR = 0.7


def image_restore(settings):
    volume = settings.fixtures.filled_volume()
    target = os.path.join(settings.work, "restored.raw")
    seconds = {"restore": [], "nbdcopy": []}
    with PlainFile(settings.work, volume.plain) as plain:
        commands = {
            "restore": volume.daemon.command("restore", volume.name, "--at", f"lsn:{volume.lsn}",
                                             "--to", target),
            "nbdcopy": ["nbdcopy", "--flush", plain.uri, target],
        }
        for round_number in range(settings.rounds):
            for name in random.sample(list(commands), len(commands)):
                forget_cached(volume.plain)
                run(["sync", "--file-system", settings.work])
                seconds[name].append(timed(commands[name]))
                if round_number == 0:
                    run(["cmp", target, volume.plain])
                os.unlink(target)
    ratio = median_ratio(seconds["nbdcopy"], seconds["restore"])
    yield {"bench": "image_restore", "rounds": settings.rounds, "bytes": volume.size,
           "mib_per_s": {name: round(volume.size / MIB / statistics.median(v), 1)
                         for name, v in seconds.items()},
           "ratio_to_nbdcopy": round(ratio, 3), "floor": FLOOR, "met": ratio >= FLOOR}


FIGURES = {"image_restore": image_restore}
