# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL on ext4 on a volume, against the same on what people use today: pgbench's transactions
a second, and what its writes cost the journal.

Each slot is a new file, file system and cluster; a server is attached by nbdfuse and a loop device,
as there may be no kernel client. How they are compared is said in comparison.
"""
import contextlib
import os
import re
import subprocess
import time

from .comparison import Comparison
from .machine import run, wait_for
from .servers import Hindsight, Nbdkit

POSTGRES = "/usr/lib/postgresql/15/bin"
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]
SCALE = 10
CLIENTS = 8
SECONDS = 20
GOAL = 0.97
JOURNAL_GOAL = 1 / 3


def attached(stack, server, directory):
    """A loop device on the server's disk."""
    point = os.path.join(directory, "attached")
    os.makedirs(point)
    pid_file = os.path.join(directory, "nbdfuse.pid")
    fuse = subprocess.Popen(["nbdfuse", "-P", pid_file, f"{point}/disk", server.uri()],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    stack.callback(fuse.wait)
    stack.callback(unmount, point)
    wait_for(lambda: os.path.exists(pid_file), 30, "nbdfuse's start")
    device = run(["losetup", "--direct-io=on", "--find", "--show", f"{point}/disk"]).strip()
    stack.callback(run, ["losetup", "--detach", device])
    return device


def unmount(point):
    wait_for(lambda: subprocess.run(["umount", point], capture_output=True).returncode == 0, 60,
             f"the end of what uses {point}", 0.2)


def cluster(stack, mount, sockets):
    """A PostgreSQL that is running."""
    data = os.path.join(mount, "pg")
    for path in data, sockets:
        run(["install", "-d", "-o", "postgres", "-g", "postgres", "-m", "700", path])
    run([*AS_POSTGRES, f"{POSTGRES}/initdb", "-D", data, "-k", "--no-locale", "-E", "UTF8", "-A",
         "trust"], cwd="/")
    server = subprocess.Popen([*AS_POSTGRES, f"{POSTGRES}/postgres", "-D", data, "-k", sockets, "-c",
                               "listen_addresses=", "-c", "max_wal_size=256MB", "-c",
                               "checkpoint_timeout=30s"],
                              cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    stack.callback(server.wait)
    stack.callback(server.terminate)
    ready = [f"{POSTGRES}/pg_isready", "-q", "-h", sockets]
    wait_for(lambda: subprocess.run(ready).returncode == 0, 60, "PostgreSQL's start")


def slot(kind, settings):
    """Transactions a second; of Hindsight, the journal's bytes for a byte that was written, too."""
    server = kind(settings)
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        device = attached(stack, server, server.work)
        mount = os.path.join(server.work, "mnt")
        sockets = os.path.join(server.work, "pg")
        os.makedirs(mount)
        for directory in settings.work, server.work:  # PostgreSQL's user passes through
            os.chmod(directory, 0o711)
        run(["mkfs.ext4", "-q", "-F", device])
        run(["mount", device, mount])
        stack.callback(unmount, mount)
        cluster(stack, mount, sockets)
        bench = [*AS_POSTGRES, f"{POSTGRES}/pgbench", "-h", sockets, "-U", "postgres"]
        run([*bench, "-i", "-q", "-s", str(SCALE), "postgres"], cwd="/")
        run(["sync", "--file-system", mount])
        server.drain()
        before = server.journal()
        said = run([*bench, "-n", "-c", str(CLIENTS), "-T", str(SECONDS), "postgres"], cwd="/")
        time.sleep(1)
        after = server.journal()
        written = after["client_bytes"] - before["client_bytes"]
        return {"tps": float(re.search(r"tps = ([0-9.]+)", said).group(1)),
                "journal": (after["journal_bytes"] - before["journal_bytes"]) / max(written, 1)}


def pgbench(settings):
    found = Comparison([Nbdkit], settings.rounds, lambda kind, _: slot(kind, settings), "tps")
    journal = found.medians("journal", 3)[Hindsight.name]
    yield {"bench": "pgbench", "clients": CLIENTS, "seconds": SECONDS, **found.document(GOAL),
           "journal_bytes_a_written_byte": journal, "goal_journal": round(JOURNAL_GOAL, 3),
           "met": found.meets(GOAL) and journal <= JOURNAL_GOAL}


FIGURES = {"pgbench": pgbench}
