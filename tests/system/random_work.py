# SPDX-License-Identifier: Apache-2.0
"""Does to a daemon whatever its clients and its administrator may do, at random, and knows what
every volume held at every LSN that it asked for.

    random_work.py BIN WORK SEED OPERATIONS

Writes, zeroes, trims and flushes of any alignment; resizes; rollbacks of one volume or several, and
their undoes; instant recoveries; clones that are written and removed; kills and clean restarts. At
random moments it compares whole volumes: live ones, views of past LSNs (of volumes that are gone,
too, of intervals that were rolled back, and while volumes hydrate), clones, images restored from the
vault alone, and differences. One operation at a time, so what is known is one sequence of states of
all volumes together: after a kill they must be at one state of it, which has all that was flushed
(promises 2 and 3). Ends with exit 1 and a sentence at the first thing that is wrong.
"""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time

import nbd

BLOCK = 4096
ZEROES = bytes(BLOCK)
SIZES = [1 << 20, 3 << 20, (2 << 20) + 4096, (2 << 20) + 512, 6 << 20]
LIVE_MAX, CLONES_MAX = 4, 3


class Wrong(Exception):
    pass


class Content:
    """A device of `size` bytes, in blocks that are shared by all who hold them."""

    def __init__(self, size, blocks=()):
        self.size = size
        self.blocks = list(blocks)
        self.resize(size)

    def copy(self):
        return Content(self.size, self.blocks)

    def resize(self, size):
        count = (size + BLOCK - 1) // BLOCK
        del self.blocks[count:]
        if size < self.size and size % BLOCK:
            kept = self.blocks[-1][: size % BLOCK]
            self.blocks[-1] = kept + bytes(BLOCK - len(kept))
        self.blocks += [ZEROES] * (count - len(self.blocks))
        self.size = size

    def write(self, offset, data):
        for first in range(offset // BLOCK, (offset + len(data) - 1) // BLOCK + 1):
            start, end = max(offset, first * BLOCK), min(offset + len(data), (first + 1) * BLOCK)
            old = self.blocks[first]
            self.blocks[first] = (old[: start - first * BLOCK] + data[start - offset:end - offset]
                                  + old[end - first * BLOCK:])

    def bytes(self):
        return b"".join(self.blocks)[: self.size]

    def same(self, other):
        return self.size == other.size and all(
            a is b or a == b for a, b in zip(self.blocks, other.blocks))


def first_difference(one, other):
    if len(one) != len(other):
        return f"their sizes are {len(one)} and {len(other)}"
    at = next(i for i in range(0, len(one), 512) if one[i:i + 512] != other[i:i + 512])
    return f"they differ at byte {at} (block {at // BLOCK})"


class Work:
    def __init__(self, programs, directory, seed):
        self.bin, self.dir = programs, directory
        self.random = random.Random(seed)
        self.vault, self.state = f"{directory}/vault", f"{directory}/state"
        self.nbd_path = f"{self.state}/nbd.sock"
        self.live = {}  # name: Content
        self.clones = {}
        self.points = []  # (LSN, {name: Content})
        self.unflushed = []  # the states of all live volumes that a crash may leave, oldest first
        self.changed_in = {}  # name: the first of them that has its last change
        self.connections = {}
        self.made = 0
        self.done = collections.Counter()
        self.daemon = None
        self.log = open(f"{directory}/operations", "w", buffering=1)  # HINDSIGHT_TEST_KEEP=1 keeps it

    # -- the daemon and its command

    def start(self):
        options = self.random.choice([[], [], ["--hydration-rate", "1M"]])
        log = open(f"{self.dir}/hindsightd.log", "a")
        self.daemon = subprocess.Popen(
            [f"{self.bin}/hindsightd", "--vault", self.vault, "--state", self.state,
             "--segment-size", "20M", *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        with open(f"/proc/{self.daemon.pid}/stat") as stat:
            started = stat.read().rsplit(") ", 1)[1].split()[19]
        with open(f"{self.dir}/.run/servers", "a") as servers:
            servers.write(f"{self.daemon.pid} {started}\n")
        deadline = time.monotonic() + 60
        while self.ask("status", may_fail=True) is None:
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                raise Wrong("the daemon does not start")
            time.sleep(0.02)

    def stop(self, how):
        for handle in self.connections.values():
            try:
                handle.shutdown()
            except nbd.Error:
                pass
        self.connections = {}
        self.daemon.send_signal(how)
        status = self.daemon.wait(60)
        if how == signal.SIGTERM and status != 0:
            raise Wrong(f"the daemon ended with {status} on SIGTERM")

    def note(self, *words):
        self.log.write(" ".join(str(word) for word in words) + "\n")

    def ask(self, *words, may_fail=False, server=True):
        if not may_fail:
            self.note("hindsight", *words, "" if server else "--vault")
        where = ["--server", f"unix:{self.state}/control.sock"] if server else ["--vault", self.vault]
        ended = subprocess.run([f"{self.bin}/hindsight", *where, "--json", *words],
                               capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
        if ended.returncode not in (0, 3):
            if may_fail:
                return None
            raise Wrong(f"`hindsight {' '.join(words)}` ended with {ended.returncode}: {ended.stderr}")
        return json.loads(ended.stdout) if ended.stdout else {}

    def connect(self, export):
        handle = nbd.NBD()
        handle.set_export_name(export)
        handle.connect_unix(self.nbd_path)
        return handle

    def device(self, name):
        if name not in self.connections:
            self.connections[name] = self.connect(name)
        return self.connections[name]

    def disconnect(self, names):
        for name in names:
            if name in self.connections:
                self.connections.pop(name).shutdown()

    def read(self, export, handle=None):
        own = handle or self.connect(export)
        size = own.get_size()
        pieces = [own.pread(min(1 << 20, size - at), at) for at in range(0, size, 1 << 20)]
        if handle is None:
            own.shutdown()
        return b"".join(bytes(piece) for piece in pieces)

    def compare(self, what, found, content):
        wanted = content.bytes()
        if found != wanted:
            raise Wrong(f"{what} is not as it was: {first_difference(found, wanted)}")

    # -- what is known

    def states(self):
        return {name: content.copy() for name, content in self.live.items()}

    def changed(self, name):
        self.changed_in[name] = len(self.unflushed)
        self.unflushed.append(self.states())

    def all_durable(self):
        self.unflushed = [self.states()]
        self.changed_in = {}

    def flush_of(self, name):
        """A flush answers for its own volume: what others did before its last change came earlier."""
        self.note("flush", name)
        self.device(name).flush()
        first = self.changed_in.get(name, 0)
        del self.unflushed[:first]
        self.changed_in = {n: max(0, at - first) for n, at in self.changed_in.items()}

    def point(self):
        """Remembers the present as an LSN."""
        if not self.live:
            return
        for name in sorted(self.live):
            self.flush_of(name)
        lsn = self.ask("points", name, "--at", "now")["point"]["lsn"]
        self.points.append((lsn, self.states()))

    def some_point(self):
        """A point, recent ones more often, and a volume that it has."""
        late = self.random.random() < 0.5
        lsn, volumes = self.random.choice(self.points[-4:] if late else self.points)
        return lsn, volumes, self.random.choice(sorted(volumes))

    # -- what clients do

    def change(self):
        name = self.random.choice(sorted(self.live) + sorted(self.clones))
        content = self.live.get(name) or self.clones[name]
        kind = self.random.choices(["write", "repeat", "zero", "trim"], [70, 10, 10, 10])[0]
        # A trim promises zeroes for whole blocks alone.
        unit = BLOCK if kind == "trim" else self.random.choice([1, 512, BLOCK])
        length = unit * self.random.randint(1, min(64 * BLOCK, content.size // 4) // unit)
        # Half of it in a corner, so that the same blocks change again and again.
        reach = content.size if self.random.random() < 0.5 else min(content.size, 1 << 19)
        offset = self.random.randrange(0, max(1, reach - length)) // unit * unit
        self.note(kind, name, offset, length)
        if kind == "write":
            data = self.random.randbytes(length)
            self.device(name).pwrite(data, offset)
        elif kind == "repeat":  # what is there already
            data = content.bytes()[offset:offset + length]
            self.device(name).pwrite(data, offset)
        else:
            data = bytes(length)
            getattr(self.device(name), kind)(length, offset)
        content.write(offset, data)
        if name in self.live:
            self.changed(name)

    def flush(self):
        self.flush_of(self.random.choice(sorted(self.live)))

    # -- what the administrator does

    def new_name(self, kind):
        self.made += 1
        return f"{kind}-{self.made}"

    def create(self):
        if len(self.live) >= LIVE_MAX:
            return self.remove()
        name, size = self.new_name("volume"), self.random.choice(SIZES)
        self.ask("volume", "create", name, "--size", str(size))
        self.live[name] = Content(size)
        self.all_durable()

    def remove(self):
        if len(self.live) < 2:
            return
        name = self.random.choice(sorted(self.live))
        self.disconnect([name])
        self.ask("volume", "remove", name)
        del self.live[name]
        self.all_durable()

    def resize(self):
        name, size = self.random.choice(sorted(self.live)), self.random.choice(SIZES)
        self.disconnect([name])
        self.ask("volume", "resize", name, "--size", str(size))
        self.live[name].resize(size)
        self.all_durable()

    def roll_back(self):
        lsn, volumes, _ = self.some_point()
        names = [name for name in sorted(volumes) if name in self.live]
        if not names:
            return
        names = self.random.sample(names, self.random.randint(1, len(names)))
        for name in names:
            if name in self.connections:
                self.connections[name].flush()
        before = self.states()
        forced = self.random.random() < 0.3
        if forced:
            self.connections = {n: c for n, c in self.connections.items() if n not in names}
        else:
            self.disconnect(names)
        extra = ["--disconnect"] if forced else []
        answer = self.ask("rollback", *names, "--at", f"lsn:{lsn}", "--yes", *extra)
        undo = int(answer["undo"].removeprefix("lsn:"))
        self.points.append((undo, before))
        for name in names:
            self.live[name] = volumes[name].copy()
            if forced:
                self.ask("volume", "resume", name)
        self.all_durable()

    def recover(self):
        if len(self.live) >= LIVE_MAX:
            self.remove()
        lsn, volumes, name = self.some_point()
        new = self.new_name("recovered")
        self.ask("recover", name, "--at", f"lsn:{lsn}", "--as", new)
        self.live[new] = volumes[name].copy()
        self.all_durable()

    def clone(self):
        if len(self.clones) >= CLONES_MAX:
            gone = self.random.choice(sorted(self.clones))
            self.compare(f"the clone {gone}", self.read(gone), self.clones.pop(gone))
            self.disconnect([gone])
            self.ask("clone", "remove", gone)
        lsn, volumes, name = self.some_point()
        new = self.new_name("clone")
        self.ask("clone", name, "--at", f"lsn:{lsn}", "--as", new)
        self.clones[new] = volumes[name].copy()

    def restart(self):
        kill = self.random.random() < 0.7
        for name in self.clones:  # they promise what was flushed, each for itself
            if name in self.connections:
                self.connections[name].flush()
        self.note("kill" if kill else "stop")
        self.stop(signal.SIGKILL if kill else signal.SIGTERM)
        self.start()
        found = {name: self.read(name) for name in self.live}
        possible = self.unflushed if kill else self.unflushed[-1:]
        for state in reversed(possible):
            if all(state[name].bytes() == found[name] for name in state):
                break
        else:
            name = next(n for n in found if found[n] != possible[-1][n].bytes())
            raise Wrong(f"after a {'kill' if kill else 'restart'} the volumes are at none of "
                        f"{len(possible)} states; {name}: "
                        f"{first_difference(found[name], possible[-1][name].bytes())} from the newest")
        self.done["changes lost that were not flushed"] += len(possible) - 1 - possible.index(state)
        self.live = {name: content.copy() for name, content in state.items()}
        self.all_durable()

    # -- what must be true

    def check_view(self):
        lsn, volumes, name = self.some_point()
        self.compare(f"the view of {name} at lsn:{lsn}", self.read(f"{name}@lsn:{lsn}"), volumes[name])

    def check_live(self):
        name = self.random.choice(sorted(self.live) + sorted(self.clones))
        self.compare(f"the device {name}", self.read(name, self.device(name)),
                     self.live.get(name) or self.clones[name])

    def check_image(self):
        lsn, volumes, name = self.some_point()
        image = f"{self.dir}/image"
        self.ask("restore", name, "--at", f"lsn:{lsn}", "--to", image,
                 server=self.random.random() < 0.5)
        with open(image, "rb") as restored:
            self.compare(f"the image of {name} at lsn:{lsn}", restored.read(), volumes[name])
        os.unlink(image)

    def check_difference(self):
        lsn, volumes, name = self.some_point()
        other_lsn, others, _ = self.some_point()
        if name not in others:
            return
        answer = self.ask("diff", name, "--from", f"lsn:{lsn}", "--to", f"lsn:{other_lsn}",
                          server=self.random.random() < 0.5)
        one, other = volumes[name], others[name]
        told = set()
        for extent in answer["extents"]:
            first = extent["offset"] // BLOCK
            told.update(range(first, (extent["offset"] + extent["bytes"] + BLOCK - 1) // BLOCK))
        shared = min(one.size, other.size) // BLOCK
        missing = [b for b in range(shared) if one.blocks[b] != other.blocks[b] and b not in told]
        if missing:
            raise Wrong(f"the difference of {name} between lsn:{lsn} and lsn:{other_lsn} lacks "
                        f"block {missing[0]} and {len(missing) - 1} more")

    def run(self, operations):
        self.start()
        self.create()
        self.point()
        weights = {self.change: 60, self.flush: 6, self.point: 12, self.create: 2, self.remove: 1,
                   self.resize: 3, self.roll_back: 6, self.recover: 3, self.clone: 3,
                   self.restart: 3, self.check_view: 10, self.check_live: 6, self.check_image: 2,
                   self.check_difference: 3}
        actions = list(weights)
        for number in range(operations):
            action = self.random.choices(actions, list(weights.values()))[0]
            try:
                action()
            except (Wrong, nbd.Error, subprocess.TimeoutExpired) as error:
                raise Wrong(f"operation {number} ({action.__name__}): {error}") from error
            self.done[action.__name__] += 1
        self.restart()
        for lsn, volumes in self.points:
            for name, content in volumes.items():
                self.compare(f"the view of {name} at lsn:{lsn}", self.read(f"{name}@lsn:{lsn}"), content)
        self.stop(signal.SIGTERM)


def main():
    programs, directory, seed, operations = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    work = Work(programs, directory, seed)
    try:
        work.run(operations)
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(1)
    print(f"{len(work.points)} points; " + ", ".join(f"{n} {what}" for what, n in work.done.items()))


if __name__ == "__main__":
    main()
