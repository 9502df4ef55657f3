# SPDX-License-Identifier: Apache-2.0
"""A protected volume against what people use today, and against the same engine without a journal.

Every contestant has an identical preallocated file; how they are compared is said in comparison.
nbd_load sends what a workload says; a slot of writes is at least ten times the budget of dirty memory
and is timed until it is flushed and, where there is a journal, brought to the backing store as well,
so that memory is not what is measured. Reads are of a file that was written before, through the same
server.
"""
import functools
import statistics

from .comparison import Comparison, rounds_of
from .counters import cpu_ns
from .machine import median_ratio
from .nbd_load import load
from .servers import Hindsight, Nbdkit, NullRecorder

BUDGET = Hindsight.dirty_budget
SLOT = 12 * BUDGET
LATENCY_LOAD = 0.7
LATENCY_SECONDS = 6

# name: what nbd_load is told, bytes of a slot, whether it reads, and the goals: ratio to the best
# peer, and to the engine without a journal
WORKLOADS = {
    "write_4k_qd1": (["--block", "4096"], SLOT // 2, False, None, None),
    "write_4k_qd32": (["--block", "4096", "--depth", "32"], SLOT, False, 1.0, 0.9),
    "write_4k_qd32_half_duplicates":
        (["--block", "4096", "--depth", "32", "--compressible", "50", "--duplicates", "50"], SLOT,
         False, 1.0, None),
    "write_4k_4_clients":
        (["--block", "4096", "--depth", "8", "--connections", "4"], SLOT, False, None, None),
    "write_flush_4k_qd1":
        (["--block", "4096", "--flush-each"], 8 * BUDGET, False, 1.0, None),
    "write_flush_4k_16_clients":
        (["--block", "4096", "--flush-each", "--connections", "16"], 16 * BUDGET, False, 1.5, None),
    "oltp_8k": (["--op", "mix", "--block", "8192", "--depth", "16"], SLOT, True, None, None),
    "write_64k_sequential":
        (["--block", "65536", "--depth", "8", "--sequential"], 4 * SLOT, False, None, None),
    "write_1m_sequential":
        (["--block", "1048576", "--depth", "4", "--sequential"], 4 * SLOT, False, 0.8, None),
    "read_4k_qd32": (["--op", "read", "--block", "4096", "--depth", "32"], SLOT, True, 1.0, None),
    "read_1m_sequential":
        (["--op", "read", "--block", "1048576", "--depth", "4", "--sequential"], 4 * SLOT, True, 1.0,
         None),
    "trim_64k": (["--op", "trim", "--block", "65536", "--depth", "4"], 16 * SLOT, False, None, None),
}


def slot(kind, settings, options, total_bytes, reads, seed):
    """Requests a second until all is where it belongs, and processor seconds of the server each."""
    server = kind(settings)
    try:
        server.start()
        if reads:
            load(server.uri(), ["--block", "1048576", "--depth", "4", "--sequential"], settings.size, 1)
            server.drain()
        pid, syncs = server.process.pid, server.journal()["syncs"]
        cpu = cpu_ns(pid)
        told = load(server.uri(), options, total_bytes, seed)
        seconds = told["seconds"] + server.drain()
        requests = told["requests"]
        return {"per_second": requests / seconds, "p99_us": told["p99_us"],
                "cpu_us": (cpu_ns(pid) - cpu) / 1e3 / requests,
                "syncs": (server.journal()["syncs"] - syncs) / requests}
    finally:
        server.stop()


def compare(name, settings):
    options, total, reads, peer_goal, null_goal = WORKLOADS[name]
    found = Comparison([NullRecorder, Nbdkit], settings.rounds,
                       lambda kind, number: slot(kind, settings, options, total, reads, number),
                       "per_second")
    met = found.meets(peer_goal) and (null_goal is None or found.ratio[NullRecorder.name] >= null_goal)
    yield {"bench": name, "disks": settings.disks, "rounds": settings.rounds, "slot_bytes": total,
           "per_second": found.medians("per_second"), "p99_us": found.medians("p99_us"),
           "cpu_us_a_request": found.medians("cpu_us", 2),
           "syncs_a_request": found.medians("syncs", 3)[Hindsight.name],
           **found.document(peer_goal), "goal_to_null": null_goal, "met": met}


def latency(settings):
    """What 99 of 100 writes of 4 KiB wait at most, at 70 % of what the volume takes at its most."""
    options = ["--block", "4096", "--depth", "32"]
    peak = slot(Hindsight, settings, options, SLOT, False, 1)["per_second"]
    rate = int(LATENCY_LOAD * peak)
    slots = rounds_of({kind.name: kind for kind in (Hindsight, NullRecorder)}, settings.rounds,
                      lambda kind, number: slot(kind, settings, [*options, "--per-second", str(rate)],
                                                rate * LATENCY_SECONDS * 4096, False, number))
    p99 = {name: [took["p99_us"] for took in taken] for name, taken in slots.items()}
    ratio = median_ratio(p99[Hindsight.name], p99[NullRecorder.name])
    yield {"bench": "write_latency", "rounds": settings.rounds, "per_second": rate,
           "p99_us": {name: round(statistics.median(each)) for name, each in p99.items()},
           "ratio_to_null": round(ratio, 3), "goal": 1.2, "met": ratio <= 1.2}


FIGURES = {name: functools.partial(compare, name) for name in WORKLOADS}
FIGURES |= {"write_latency": latency}
