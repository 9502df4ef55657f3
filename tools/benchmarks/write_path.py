# SPDX-License-Identifier: Apache-2.0
"""A protected volume against what people use today, and against the same engine without a journal.

Every contestant has an identical preallocated file; how they are compared is said in comparison,
and what clients do in workloads. A slot is timed until all is answered and flushed, and the server
has ended: by then what it held in memory is on the backing store, so that memory is not what is
measured. Reads are of a file that was written before, through the same server.

Processor time is that of the timed slots, until the last answer. What else is counted is taken in
one slot more of each contestant, which is not timed and has the file behind a loop device; and
instructions, where perf does not count them, by callgrind in a short one.
"""
import contextlib
import dataclasses
import functools
import statistics
import tempfile

from . import nbd_load
from .comparison import Comparison, interval, rounds_of
from .counters import Callgrind, Perf, cpu_ns, main_thread_ns
from .machine import median_ratio
from .servers import Hindsight, Nbdkit, NullRecorder
from .workloads import WORKLOADS

LATENCY_LOAD = 0.7
LATENCY_SECONDS = 6
CALLGRIND_PART = 20  # of a slot
# What is written twice to one disk gets half of it.
LIMIT_ON_ONE_DISK = 0.5


@contextlib.contextmanager
def serving(kind, settings, workload, **options):
    """A server that is ready for the workload."""
    server = kind(settings, transport=workload.transport, **options)
    try:
        server.start()
        if workload.fills:
            nbd_load.load(server.uri(), ["--block", "1048576", "--depth", "4", "--sequential"],
                          settings.size, 1)
            server.drain()
        yield server
    finally:
        server.stop()


def slot(kind, settings, workload, seed):
    """Requests a second until all is where it belongs, and processor time of each."""
    with serving(kind, settings, workload) as server:
        pid = server.process.pid
        cpu, main = cpu_ns(pid), main_thread_ns(pid)
        told = workload.load(server.uri(), workload.options, workload.slot_bytes, seed)
        cpu, main = cpu_ns(pid) - cpu, main_thread_ns(pid) - main
        seconds = told["seconds"] + server.end()
        requests = told["requests"]
        return {"per_second": requests / seconds, "p99_us": told["p99_us"],
                "cpu_us": cpu / 1e3 / requests, "main_thread_cpu_us": main / 1e3 / requests,
                "other_threads_cpu_us": (cpu - main) / 1e3 / requests}


def counted_slot(kind, settings, workload):
    """What perf and the journal count of a request, and disks of a byte that clients wrote."""
    with serving(kind, settings, workload, counts_written=True) as server:
        journal, backing = server.journal(), server.loop.written_bytes()
        with Perf(server.process.pid) as perf:
            told = workload.load(server.uri(), workload.options, workload.slot_bytes, 1)
            server.drain()
        journal = {name: count - journal[name] for name, count in server.journal().items()
                   if name in ("syncs", "journal_bytes")}
        server.end()
        backing = server.loop.written_bytes() - backing
    counted = {name: round(count / told["requests"], 3)
               for name, count in (perf.counts | {"syncs": journal["syncs"]}).items()}
    written = told["bytes"] * workload.written
    if written > 0:
        counted |= {"journal_bytes_a_byte": round(journal["journal_bytes"] / written, 4),
                    "backing_bytes_a_byte": round(backing / written, 4)}
    return counted | {"uncounted": perf.uncounted}


def instructions_of(kind, settings, workload):
    """Of a request, in user mode."""
    with tempfile.TemporaryDirectory(dir=settings.work) as directory:
        callgrind = Callgrind(directory)
        with serving(kind, settings, workload, under=callgrind.command) as server:
            with callgrind.counting(server.process.pid):
                told = workload.load(server.uri(), workload.options,
                                     workload.slot_bytes // CALLGRIND_PART, 1)
                server.drain()
            server.end()
        return {name: round(count / told["requests"])
                for name, count in callgrind.counts().items()}


def counters(found, settings, workload):
    """Of a request, by contestant; and what this machine does not count, with perf's word why."""
    cpu = {name: found.medians(name, 2)
           for name in ("cpu_us", "main_thread_cpu_us", "other_threads_cpu_us")}
    told = {kind.name: {name: of[kind.name] for name, of in cpu.items()}
            | counted_slot(kind, settings, workload) for kind in found.kinds}
    uncounted = [of.pop("uncounted") for of in told.values()][0]
    if uncounted.pop("instructions", None):
        for kind in found.kinds:
            told[kind.name] |= instructions_of(kind, settings, workload)
    return {"counters": told} | ({"uncounted": uncounted} if uncounted else {})


def goals(found, cost, settings, workload):
    """The goals beside that to the best peer, with what was measured; and whether all are met."""
    told = {"goal_to_null": workload.null_goal}
    peer_goal = workload.peer_goal
    met = workload.null_goal is None or found.ratio[NullRecorder.name] >= workload.null_goal
    if workload.wants_two_disks and settings.disks == 1:
        peer_goal = None
        told |= {"limit_on_one_disk": LIMIT_ON_ONE_DISK, "share_of_limit":
                 round(found.ratio[found.best_peer] / LIMIT_ON_ONE_DISK, 3)}
    if workload.syncs_goal is not None:
        syncs = round(cost["counters"][Hindsight.name]["syncs"], 2)
        told |= {"syncs_a_flush": syncs, "goal_syncs_a_flush": workload.syncs_goal}
        met &= syncs <= workload.syncs_goal
    return {**found.document(peer_goal), **told, "met": met and found.meets(peer_goal)}


def compare(name, settings):
    workload = WORKLOADS[name]
    found = Comparison([NullRecorder, Nbdkit], settings.rounds,
                       lambda kind, number: slot(kind, settings, workload, number), "per_second")
    cost = counters(found, settings, workload)
    yield {"bench": name, "over": workload.transport.name, "disks": settings.disks,
           "slot_bytes": workload.slot_bytes, "p99_us": found.medians("p99_us"), **cost,
           **goals(found, cost, settings, workload)}
    if workload.reactor_goal_us is not None:
        yield reactor_cpu(f"reactor_cpu_{name}", found, workload.reactor_goal_us)


def reactor_cpu(name, found, goal_us):
    """What the journal adds to a request on the thread that serves volumes: the main one."""
    own, null = ([took["main_thread_cpu_us"] for took in found.slots[kind.name]]
                 for kind in (Hindsight, NullRecorder))
    extra = [a - b for a, b in zip(own, null)]
    median = statistics.median(extra)
    return {"bench": name, "rounds": found.rounds,
            "us": {Hindsight.name: round(statistics.median(own), 2),
                   NullRecorder.name: round(statistics.median(null), 2)},
            "extra_us": round(median, 2), "interval_us": interval(extra), "goal_us": goal_us,
            "met": median <= goal_us}


def latency(settings):
    """What 99 of 100 writes of 4 KiB wait at most, at 70 % of what the volume takes at its most."""
    workload = WORKLOADS["write_4k_qd32"]
    rate = int(LATENCY_LOAD * slot(Hindsight, settings, workload, 1)["per_second"])
    paced = dataclasses.replace(workload, slot_bytes=rate * LATENCY_SECONDS * 4096,
                                options=[*workload.options, "--per-second", str(rate)])
    slots = rounds_of({kind.name: kind for kind in (Hindsight, NullRecorder)}, settings.rounds,
                      lambda kind, number: slot(kind, settings, paced, number))
    p99 = {name: [took["p99_us"] for took in taken] for name, taken in slots.items()}
    ratio = median_ratio(p99[Hindsight.name], p99[NullRecorder.name])
    yield {"bench": "write_latency", "rounds": settings.rounds, "per_second": rate,
           "p99_us": {name: round(statistics.median(each)) for name, each in p99.items()},
           "ratio_to_null": round(ratio, 3), "goal": 1.2, "met": ratio <= 1.2}


FIGURES = {name: functools.partial(compare, name) for name in WORKLOADS}
FIGURES |= {"write_latency": latency}
