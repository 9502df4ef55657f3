# SPDX-License-Identifier: Apache-2.0
"""Writes to a protected volume, against the tools people use today.

Each round runs every server once, in random order, on an identical preallocated file, with fio's
nbd engine over a unix socket. A slot writes at least ten times the dirty budget and is timed from
fio's start until what it wrote is flushed and, for Hindsight, checkpointed: memory is not what is
measured. The first round is dropped. Beside that, the journal's size, and memory while writing.
"""
import functools
import os
import random
import statistics
import time

from .machine import GIB, MIB, median_ratio
from .servers import Hindsight, Nbdkit, QemuNbd, fio

# name, fio options, bytes of a slot as a multiple of the dirty budget, floor against qemu-nbd
WORKLOADS = {
    "randwrite_4k_qd32": (["--rw=randwrite", "--bs=4k", "--iodepth=32"], 12, 0.6),
    "seqwrite_1m": (["--rw=write", "--bs=1m", "--iodepth=4"], 48, 0.4),
    "write_flush_4k_qd1": (["--rw=randwrite", "--bs=4k", "--iodepth=1", "--fsync=1"], 2.5, 0.8),
}
MEMORY_VOLUME_BYTES = 8 * GIB


def write(server, options, total_bytes, compressible=0):
    fio(server.uri(), os.path.join(server.work, "fio.json"),
        [f"--size={server.size}", f"--io_size={int(total_bytes)}", "--norandommap",
         f"--buffer_compress_percentage={compressible}", "--end_fsync=1", *options])


def slot(kind, settings, options, total_bytes):
    """Bytes per second of one slot, from fio's start to flushed and checkpointed."""
    server = kind(settings.work, settings.size)
    server.start()
    try:
        begun = time.monotonic()
        write(server, options, total_bytes)
        server.drain()
        elapsed = time.monotonic() - begun
        journal = server.status()["journal"] if kind is Hindsight else None
    finally:
        server.stop()
    return total_bytes / elapsed, journal


def compare(name, settings):
    options, budgets, floor = WORKLOADS[name]
    total = max(10 * Hindsight.dirty_budget, budgets * Hindsight.dirty_budget)
    if "fsync" in " ".join(options):
        total = budgets * Hindsight.dirty_budget
    kinds = [Hindsight, QemuNbd, Nbdkit]
    speeds = {kind.name: [] for kind in kinds}
    journals = []
    for round_number in range(settings.rounds + 1):
        for kind in random.sample(kinds, len(kinds)):
            speed, journal = slot(kind, settings, options, total)
            if round_number == 0:
                continue
            speeds[kind.name].append(speed)
            if journal is not None:
                journals.append(journal)
    ratios = {kind.name: median_ratio(speeds[Hindsight.name], speeds[kind.name])
              for kind in kinds[1:]}
    last = journals[-1]
    yield {"bench": name, "rounds": settings.rounds, "slot_bytes": int(total),
           "mib_per_s": {k: round(statistics.median(v) / MIB, 1) for k, v in speeds.items()},
           "ratio_to": {k: round(v, 3) for k, v in ratios.items()},
           "floor_to_qemu_nbd": floor, "met": ratios[QemuNbd.name] >= floor,
           "journal_bytes_per_client_byte":
               round(last["journal_bytes"] / last["client_bytes"], 4)}


def journal_overhead(settings):
    """Journal bytes per unique, incompressible client byte, everything counted."""
    server = Hindsight(settings.work, settings.size)
    server.start()
    try:
        write(server, ["--rw=randwrite", "--bs=4k", "--iodepth=32"], settings.size // 2)
        server.drain()
        journal = server.status()["journal"]
    finally:
        server.stop()
    ratio = journal["journal_bytes"] / journal["unique_bytes"]
    yield {"bench": "journal_overhead", "unique_bytes": journal["unique_bytes"],
           "journal_bytes": journal["journal_bytes"],
           "journal_bytes_per_unique_byte": round(ratio, 4), "goal": 1.05, "met": ratio <= 1.05}


def memory(settings):
    """Resident memory at the daemon's own defaults, a sparse volume full of random writes."""
    server = Hindsight(settings.work, MIB)
    os.unlink(server.file)
    server.size = MEMORY_VOLUME_BYTES
    with open(server.file, "wb") as backing:
        backing.truncate(server.size)
    server.dirty_budget = 128 * MIB
    server.start()
    try:
        write(server, ["--rw=randwrite", "--bs=64k", "--iodepth=32"], server.size, compressible=80)
        server.drain()
        peak = server.resident_peak()
    finally:
        server.stop()
    yield {"bench": "resident_memory", "volume_bytes": server.size,
           "resident_peak_mib": round(peak / MIB, 1), "goal_mib": 512, "met": peak < 512 * MIB}


FIGURES = {name: functools.partial(compare, name) for name in WORKLOADS}
FIGURES |= {"journal_overhead": journal_overhead, "memory": memory}
