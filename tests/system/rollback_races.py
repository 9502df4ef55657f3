# SPDX-License-Identifier: Apache-2.0
"""Rolls a volume back again and again while clients come and go.

    rollback_races.py HINDSIGHT SOCKET EXPORT MARK ROUNDS

Block 0 of the volume holds a generation, which is 0 at MARK. A client reads it and writes what it
read to a block of its own. Each round sets a new generation and rolls back, by two commands at once.
A rollback that succeeds had no writer connected, so a block that is not empty afterwards was written
by a client that has seen generation 0: any other has carried what it knew over the rollback (rule 10).
"""

import collections
import errno
import random
import struct
import subprocess
import sys
import threading
import time

import nbd

BLOCK = 4096
MIB = 1 << 20
CLIENTS = 3
# What must have happened for the race to have been run, and how many times the rounds it may take.
NEEDED = ("writes", "refused for a writer", "rollbacks")
PATIENCE = 20


class Races:
    def __init__(self, hindsight, path, export, mark):
        self.hindsight, self.path, self.export, self.mark = hindsight, path, export, mark
        self.counts = collections.Counter()
        self.paused, self.ended = threading.Event(), False
        self.turn = threading.Lock()
        self.active = 0
        self.problem = None

    def connect(self):
        handle = nbd.NBD()
        handle.set_export_name(self.export)
        handle.connect_unix(self.path)
        return handle

    def client(self, number):
        choice = random.Random(number)
        while not self.ended:
            time.sleep(choice.random() * 0.03)
            with self.turn:
                if self.paused.is_set():
                    continue
                self.active += 1
            try:
                handle = self.connect()
                if handle.is_read_only():
                    self.counts["clients that found it read-only"] += 1
                else:
                    seen = handle.pread(8, 0)
                    time.sleep(choice.random() * 0.002)
                    self.insist(handle, bytes(seen) + struct.pack("<Q", 1), number * BLOCK)
                handle.shutdown()
            except nbd.Error as error:
                self.problem = self.problem or f"a client met {error}"
            finally:
                with self.turn:
                    self.active -= 1

    def insist(self, handle, data, offset):
        """Tries again for a while where it is refused, as a cache that has to be written does."""
        for _ in range(20):
            try:
                handle.pwrite(data, offset)
                handle.flush()
                self.counts["writes"] += 1
                return
            except nbd.Error as error:
                if error.errnum != errno.EPERM:
                    raise
                self.counts["refused writes"] += 1
                time.sleep(0.01)

    def roll_back(self):
        """True once a rollback has succeeded."""
        words = [self.hindsight, "rollback", self.export, "--at", f"mark:{self.mark}", "--yes"]
        both = [subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True) for _ in range(2)]
        succeeded = False
        for one in both:
            said = one.communicate(timeout=60)[1]
            if one.returncode in (0, 3):
                self.counts["rollbacks"] += 1
                succeeded = True
            elif "connected" in said:
                self.counts["refused for a writer"] += 1
            elif "is being rolled back" in said:
                self.counts["refused for another rollback"] += 1
            else:
                self.problem = self.problem or f"a rollback ended with {one.returncode}: {said}"
        return succeeded

    def round(self, generation):
        handle = self.connect()
        handle.pwrite(struct.pack("<Q", generation), 0)
        # What a rollback must first make durable, which gives clients time to come.
        for at in range(MIB, handle.get_size(), MIB):
            handle.pwrite(random.randbytes(MIB), at)
        handle.shutdown()
        while not self.roll_back():
            if self.problem:
                return
        self.paused.set()
        while self.active:
            time.sleep(0.001)
        handle = self.connect()
        for block in range(CLIENTS + 1):
            seen, written = struct.unpack("<QQ", handle.pread(16, block * BLOCK))
            if seen != 0:
                self.problem = (f"block {block} was written after a rollback by a client that was "
                                f"connected before it (generation {seen}, {written})")
        handle.shutdown()
        self.paused.clear()

    def run(self, rounds):
        threads = [threading.Thread(target=self.client, args=(i + 1,)) for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for generation in range(1, rounds * PATIENCE + 1):
            self.round(generation)
            has_run = all(self.counts[what] > 0 for what in NEEDED)
            if self.problem or (generation >= rounds and has_run):
                break
        self.ended = True
        for thread in threads:
            thread.join()


def main():
    races = Races(*sys.argv[1:5])
    races.run(int(sys.argv[5]))
    print(", ".join(f"{count} {what}" for what, count in sorted(races.counts.items())))
    if races.problem:
        sys.exit(races.problem)
    for what in NEEDED:
        if races.counts[what] == 0:
            sys.exit(f"the race was not run: no {what}")


if __name__ == "__main__":
    main()
