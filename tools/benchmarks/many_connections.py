# SPDX-License-Identifier: Apache-2.0
"""500 NBD connections at once, to four volumes: each negotiated, and served.

Each writes a block of its own, and reads it back when all are open. Then nobody asks for anything;
what the daemon takes meanwhile, in processor time and in memory beyond what it had without them, is
the cost of a connection.
"""
import os
import time

from .machine import MIB, remove_tree
from .many_volumes import GOAL_IDLE_CPU, idle_cpu
from .nbd_client import NbdClient
from .servers import Daemon

CONNECTIONS = 500
VOLUMES = 4  # one alone has at most 384


def serve_each(clients):
    """How many read back what they wrote."""
    blocks = [os.urandom(4096) for _ in clients]
    for i, (client, block) in enumerate(zip(clients, blocks)):
        client.write(i * 4096, block)
    return sum(client.read(i * 4096, 4096) == block
               for i, (client, block) in enumerate(zip(clients, blocks)))


def many_connections(settings):
    directory = os.path.join(settings.work, "connections")
    os.makedirs(directory)
    daemon = Daemon(directory)
    clients = []
    try:
        daemon.start()
        for i in range(VOLUMES):
            daemon.cli("volume", "create", f"vol-{i}", "--size", str(64 * MIB))
        before = daemon.resident()
        begun = time.monotonic()
        for i in range(CONNECTIONS):
            clients.append(NbdClient(daemon.socket, f"vol-{i % VOLUMES}"))
        opened = time.monotonic() - begun
        resident = daemon.resident()
        served = serve_each(clients)
        daemon.drain()
        connected = sum(volume["connections"] for volume in daemon.status()["volumes"])
        cpu = idle_cpu(daemon)
        used = daemon.resident()
    finally:
        for client in clients:
            client.close()
        daemon.stop()
        remove_tree(directory)
    yield {"bench": "many_connections", "connections": connected, "served": served,
           "goal_connections": CONNECTIONS, "open_seconds": round(opened, 3),
           "kib_per_connection": {"opened": round((resident - before) / CONNECTIONS / 1024, 1),
                                  "served": round((used - before) / CONNECTIONS / 1024, 1)},
           "idle_cpu_percent": round(cpu * 100, 2),
           "goal_idle_cpu_percent": GOAL_IDLE_CPU * 100,
           "met": connected == served == CONNECTIONS and cpu <= GOAL_IDLE_CPU}


FIGURES = {"many_connections": many_connections}
