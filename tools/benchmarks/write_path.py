# SPDX-License-Identifier: Apache-2.0
"""A protected volume against what people use today, and against the same engine without a journal.

In each round every contestant has one slot, in random order, on an identical preallocated file; the
first round is dropped. nbd_load sends what a workload says; a slot of writes is at least ten times
the budget of dirty memory and is timed until it is flushed and, where there is a journal, brought to
the backing store as well, so that memory is not what is measured. Reads are of a file that was
written before, through the same server.

Ratios are those of one round, of which the median counts; its interval is that of 95 % of 2,000
bootstraps. Hindsight has two slots a round, and where these differ by more than 7 % in the median the
machine is too noisy for the figure, which says so and fails. The best peer is the faster one of those
that go past the page cache, as Hindsight does; nbdkit, which does not, is told beside them.
"""
import functools
import random
import statistics

from .machine import percentile
from .nbd_load import load
from .servers import Hindsight, Nbdkit, NullRecorder, QemuNbd, QemuStorageDaemon

BUDGET = Hindsight.dirty_budget
SLOT = 12 * BUDGET
PEERS = [QemuNbd, QemuStorageDaemon]
AGAIN = "hindsight-again"
NOISE = (0.93, 1.07)
BOOTSTRAPS = 2000
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
    server = kind(settings.work, settings.size)
    server.start()
    try:
        if reads:
            load(server.uri(), ["--block", "1048576", "--depth", "4", "--sequential"], settings.size, 1)
            server.drain()
        cpu, syncs = server.cpu_seconds(), server.journal()["syncs"]
        told = load(server.uri(), options, total_bytes, seed)
        seconds = told["seconds"] + server.drain()
        requests = told["requests"]
        return {"per_second": requests / seconds, "p99_us": told["p99_us"],
                "cpu_us": (server.cpu_seconds() - cpu) * 1e6 / requests,
                "syncs": (server.journal()["syncs"] - syncs) / requests}
    finally:
        server.stop()


def interval(ratios):
    medians = [statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(BOOTSTRAPS)]
    return [round(percentile(medians, 2.5), 3), round(percentile(medians, 97.5), 3)]


def compare(name, settings):
    options, total, reads, peer_goal, null_goal = WORKLOADS[name]
    contestants = {kind.name: kind for kind in [Hindsight, NullRecorder, *PEERS, Nbdkit]}
    contestants[AGAIN] = Hindsight
    slots = {each: [] for each in contestants}
    for number in range(settings.rounds + 1):
        for each in random.sample(list(contestants), len(contestants)):
            took = slot(contestants[each], settings, options, total, reads, number + 1)
            if number > 0:
                slots[each].append(took)

    def ratios_to(other):
        return [ours["per_second"] / theirs["per_second"]
                for ours, theirs in zip(slots[Hindsight.name], slots[other])]

    def median(each, figure):
        return statistics.median(took[figure] for took in slots[each])

    ratio = {each: round(statistics.median(ratios_to(each)), 3)
             for each in contestants if each != Hindsight.name}
    best = max((kind.name for kind in PEERS), key=lambda each: median(each, "per_second"))
    is_quiet = NOISE[0] <= ratio[AGAIN] <= NOISE[1]
    met = is_quiet and (peer_goal is None or ratio[best] >= peer_goal) and (
        null_goal is None or ratio[NullRecorder.name] >= null_goal)
    yield {"bench": name, "rounds": settings.rounds, "slot_bytes": total,
           "per_second": {each: round(median(each, "per_second")) for each in contestants},
           "p99_us": {each: round(median(each, "p99_us")) for each in contestants},
           "cpu_us_a_request": {each: round(median(each, "cpu_us"), 2) for each in contestants},
           "syncs_a_request": round(median(Hindsight.name, "syncs"), 3),
           "ratio_to": ratio, "best_peer": best, "interval_to_best_peer": interval(ratios_to(best)),
           "goal_to_best_peer": peer_goal, "goal_to_null": null_goal, "is_quiet": is_quiet,
           "met": met}


def latency(settings):
    """What 99 of 100 writes of 4 KiB wait at most, at 70 % of what the volume takes at its most."""
    options = ["--block", "4096", "--depth", "32"]
    peak = slot(Hindsight, settings, options, SLOT, False, 1)["per_second"]
    rate = int(LATENCY_LOAD * peak)
    p99 = {kind.name: [] for kind in (Hindsight, NullRecorder)}
    for number in range(settings.rounds + 1):
        for kind in random.sample([Hindsight, NullRecorder], 2):
            took = slot(kind, settings, [*options, "--per-second", str(rate)],
                        rate * LATENCY_SECONDS * 4096, False, number + 1)
            if number > 0:
                p99[kind.name].append(took["p99_us"])
    ratio = statistics.median(ours / null
                              for ours, null in zip(p99[Hindsight.name], p99[NullRecorder.name]))
    yield {"bench": "write_latency", "rounds": settings.rounds, "per_second": rate,
           "p99_us": {each: round(statistics.median(v)) for each, v in p99.items()},
           "ratio_to_null": round(ratio, 3), "goal": 1.2, "met": ratio <= 1.2}


FIGURES = {name: functools.partial(compare, name) for name in WORKLOADS}
FIGURES |= {"write_latency": latency}
