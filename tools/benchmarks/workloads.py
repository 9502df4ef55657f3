# SPDX-License-Identifier: Apache-2.0
"""What clients do in the comparisons of write_path, and the goals of each.

A slot of writes is ten times the budget of dirty memory or more, but for those that flush each and
for one write at a time, which never fill it.
"""
import dataclasses
from collections.abc import Callable

from . import fio_load, nbd_load
from .servers import Hindsight
from .transport import TcpLoopback, UnixSocket

BUDGET = Hindsight.dirty_budget
SLOT = 10 * BUDGET


@dataclasses.dataclass(frozen=True)
class Workload:
    options: list  # what the generator of load is told
    slot_bytes: int
    written: float = 1  # share of these bytes that is written
    fills: bool = False  # the volume is written once before
    peer_goal: float | None = None  # ratio to the best peer
    null_goal: float | None = None  # ratio to the engine without a journal
    wants_two_disks: bool = False  # the goals hold where volume and vault are on two
    syncs_goal: float | None = None  # of the journal, a flush of a client
    reactor_goal_us: float | None = None  # processor time more than without a journal, a request
    transport: type = UnixSocket
    load: Callable = nbd_load.load

    def over_tcp(self):
        return dataclasses.replace(self, transport=TcpLoopback, reactor_goal_us=None)

    def by_fio(self, options):
        return dataclasses.replace(self, load=fio_load.load, options=options, peer_goal=None,
                                   null_goal=None, reactor_goal_us=None)


def writes(*options, slot_bytes=SLOT, **goals):
    return Workload(["--block", *options], slot_bytes, **goals)


def reads(*options, slot_bytes=SLOT, **goals):
    return Workload(["--op", "read", "--block", *options], slot_bytes, written=0, fills=True,
                    **goals)


WRITE_4K_QD32 = writes("4096", "--depth", "32", peer_goal=1.0, null_goal=0.9, reactor_goal_us=3)
WRITE_FLUSH_4K_16_CLIENTS = writes("4096", "--flush-each", "--connections", "16",
                                   slot_bytes=4 * BUDGET, peer_goal=1.5, syncs_goal=0.25)
READ_4K_QD32 = reads("4096", "--depth", "32", peer_goal=1.0)

WORKLOADS = {
    "write_4k_qd1": writes("4096", slot_bytes=SLOT // 4),
    "write_4k_qd32": WRITE_4K_QD32,
    "write_4k_qd32_tcp": WRITE_4K_QD32.over_tcp(),
    "write_4k_qd32_fio": WRITE_4K_QD32.by_fio(["--rw=randwrite", "--bs=4k", "--iodepth=32"]),
    "write_4k_qd32_half_duplicates": writes("4096", "--depth", "32", "--compressible", "50",
                                            "--duplicates", "50", peer_goal=1.0),
    "write_4k_4_clients": writes("4096", "--depth", "8", "--connections", "4"),
    "write_flush_4k_qd1": writes("4096", "--flush-each", slot_bytes=2 * BUDGET, peer_goal=1.0,
                                 syncs_goal=1),
    "write_flush_4k_16_clients": WRITE_FLUSH_4K_16_CLIENTS,
    "write_flush_4k_16_clients_tcp": WRITE_FLUSH_4K_16_CLIENTS.over_tcp(),
    "oltp_8k": Workload(["--op", "mix", "--block", "8192", "--depth", "16"], SLOT, written=0.3,
                        fills=True),
    "write_64k_sequential": writes("65536", "--depth", "8", "--sequential", slot_bytes=4 * SLOT),
    "write_1m_sequential": writes("1048576", "--depth", "4", "--sequential", slot_bytes=4 * SLOT,
                                  peer_goal=0.8, wants_two_disks=True),
    "read_4k_qd32": READ_4K_QD32,
    "read_4k_qd32_tcp": READ_4K_QD32.over_tcp(),
    "read_4k_qd32_fio": READ_4K_QD32.by_fio(["--rw=randread", "--bs=4k", "--iodepth=32"]),
    "read_1m_sequential": reads("1048576", "--depth", "4", "--sequential", slot_bytes=4 * SLOT,
                                peer_goal=1.0),
    "trim_64k": Workload(["--op", "trim", "--block", "65536", "--depth", "4"], 5 * SLOT,
                         written=0),
}
