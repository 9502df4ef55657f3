# SPDX-License-Identifier: Apache-2.0
"""What a protected volume takes beside what is written to it: the journal's bytes, and memory."""
import os

from .machine import GIB, MIB
from .servers import Hindsight, fio

MEMORY_VOLUME_BYTES = 8 * GIB


def write(server, options, total_bytes, compressible=0):
    fio(server.uri(), os.path.join(server.work, "fio.json"),
        [f"--size={server.size}", f"--io_size={int(total_bytes)}", "--norandommap",
         f"--buffer_compress_percentage={compressible}", "--end_fsync=1", *options])


def allocated_bytes(directory):
    return sum(512 * os.stat(os.path.join(at, name)).st_blocks
               for at, _, names in os.walk(directory) for name in names)


def journal_overhead(settings):
    """Bytes of the journal and of its index per unique, incompressible client byte."""
    server = Hindsight(settings)
    try:
        server.start()
        write(server, ["--rw=randwrite", "--bs=4k", "--iodepth=32"], settings.size // 2)
        server.drain()
        journal = server.status()["journal"]
        server.daemon.stop()  # stores what the index has in memory
        index_bytes = allocated_bytes(os.path.join(server.daemon.vault, "index"))
    finally:
        server.stop()
    ratio = (journal["journal_bytes"] + index_bytes) / journal["unique_bytes"]
    yield {"bench": "journal_overhead", "unique_bytes": journal["unique_bytes"],
           "journal_bytes": journal["journal_bytes"], "index_bytes": index_bytes,
           "journal_and_index_bytes_per_unique_byte": round(ratio, 4), "goal": 1.015,
           "met": ratio <= 1.015}


def memory(settings):
    """Resident memory at the daemon's own defaults, a sparse volume full of random writes."""
    server = Hindsight(settings, MEMORY_VOLUME_BYTES, sparse=True)
    server.dirty_budget = 128 * MIB
    try:
        server.start()
        write(server, ["--rw=randwrite", "--bs=64k", "--iodepth=32"], server.size, compressible=80)
        server.drain()
        peak = server.resident_peak()
    finally:
        server.stop()
    yield {"bench": "resident_memory", "volume_bytes": server.size,
           "resident_peak_mib": round(peak / MIB, 1), "goal_mib": 512, "met": peak < 512 * MIB}


FIGURES = {"journal_overhead": journal_overhead, "memory": memory}
