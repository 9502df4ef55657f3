# SPDX-License-Identifier: Apache-2.0
"""Replays a log of dm-log-writes and compares each of its flushes with the history of a volume.

    log_writes.py LOG MARKS HINDSIGHT SOCKET VOLUME SIZE WORK

LOG is the log device (Documentation/admin-guide/device-mapper/log-writes.rst of the kernel, and the
structures at the top of drivers/md/dm-log-writes.c). MARKS has "LABEL LSN" for each mark of the log
that Hindsight has as well. What is compared, and why that proves something, stands at the head of
kernel_flush_marks.sh.

All numbers in the log are little-endian. Block 0 has the magic number, the version, the number of
entries (64 bits each) and the block's size (32 bits). Then come the entries, a block each: first
block of the device, number of blocks, flags, length of a mark's name (64 bits each), and the name;
behind it the data of a write. A flush is logged after all writes that were complete when it was
sent, and before all that were not; a FUA write when it is complete.
"""

import struct
import subprocess
import sys

import nbd

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
BLOCK = 4096


def read_log(path):
    """Gives (flags, offset, bytes, data, name) for each entry."""
    with open(path, "rb") as log:
        magic, version, count, sector = struct.unpack("<QQQI", log.read(28))
        if magic != MAGIC or version != 1:
            sys.exit("%s does not begin as a log of dm-log-writes" % path)
        position = sector
        for _ in range(count):
            log.seek(position)
            first, sectors, flags, name_length = struct.unpack("<QQQQ", log.read(32))
            name = log.read(name_length).rstrip(b"\0").decode()
            position += sector
            data = b""
            if not flags & DISCARD and sectors:
                log.seek(position)
                data = log.read(sectors * sector)
                position += sectors * sector
            yield flags, first * sector, sectors * sector, data, name


class History:
    def __init__(self, hindsight, socket, volume, size, work):
        self.hindsight, self.socket, self.volume, self.size, self.work = hindsight, socket, volume, size, work

    def blocks(self, lsn, numbers):
        """The blocks of those numbers at a point, from a view; None if the volume has no such point."""
        handle = nbd.NBD()
        handle.set_export_name("%s@lsn:%d" % (self.volume, lsn))
        handle.connect_unix(self.socket)
        found = {number: handle.pread(BLOCK, number * BLOCK) for number in numbers}
        handle.shutdown()
        return found

    def restore(self, point):
        path = self.work + "/restored.img"
        command = [self.hindsight, "restore", self.volume, "--at", point, "--to", path, "--force"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode not in (0, 3):
            sys.exit("restore at %s: %s" % (point, done.stderr))
        with open(path, "rb") as image:
            return image.read()


def check_file_system(image, work, where):
    path = work + "/replayed.img"
    with open(path, "wb") as out:
        out.write(image)
    # What a mount does first; what is wrong after it is damage.
    subprocess.run(["e2fsck", "-y", "-E", "journal_only", path], stdin=subprocess.DEVNULL, capture_output=True)
    done = subprocess.run(["e2fsck", "-fn", path], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("the file system replayed up to %s is damaged: %s" % (where, done.stdout))


def block_of(image, number):
    return bytes(image[number * BLOCK : (number + 1) * BLOCK])


def differing(image, other):
    return [n for n in range(len(image) // BLOCK) if image[n * BLOCK : (n + 1) * BLOCK] != other[n * BLOCK : (n + 1) * BLOCK]]


class Replay:
    """The device as the log has it, and which blocks changed since they were last compared."""

    def __init__(self, size):
        self.image = bytearray(size)
        self.changed = set()

    def apply(self, entry):
        flags, offset, length, data, _ = entry
        if flags & MARK or not length:
            return
        self.image[offset : offset + length] = bytes(length) if flags & DISCARD else data
        self.changed.update(range(offset // BLOCK, (offset + length) // BLOCK))


def later_versions(entries, at, until):
    """For each block that the entries after `at` up to `until` write: all that they write to it."""
    versions = {}
    for flags, offset, length, data, _ in entries[at + 1 : until]:
        if flags & MARK:
            continue
        for start in range(0, length, BLOCK):
            content = bytes(BLOCK) if flags & DISCARD else data[start : start + BLOCK]
            versions.setdefault((offset + start) // BLOCK, []).append(content)
    return versions


def main(log, marks_path, hindsight, socket, volume, size, work):
    entries = list(read_log(log))
    marks = dict(line.split() for line in open(marks_path))
    history = History(hindsight, socket, volume, int(size), work)
    replay = Replay(int(size))
    # Where in the log the steps end, and their LSNs.
    steps = [(at, int(marks[entry[4]])) for at, entry in enumerate(entries) if entry[0] & MARK]
    if len(steps) != len(marks):
        sys.exit("the log has %d marks, and %d were made" % (len(steps), len(marks)))
    lowest, exact, under_way, named, points_tried = 1, 0, 0, 0, 0
    mounted = False
    for at, entry in enumerate(entries):
        flags, _, _, _, name = entry
        replay.apply(entry)
        if not flags & (FLUSH | FUA | MARK):
            continue
        if flags & MARK:
            where, point = "mark " + name, "mark:" + name
            lowest = int(marks[name])
            wrong = differing(replay.image, history.restore(point))
            if wrong:
                sys.exit("%s: blocks %s of the restore are not those of the replay" % (where, wrong[:20]))
            named += 1
            mounted = True
            replay.changed.clear()
        else:
            where = "entry %d (%s)" % (at, "flush" if flags & FLUSH else "FUA")
            end, highest = next((place, lsn) for place, lsn in steps if place > at)
            wanted = {number: block_of(replay.image, number) for number in replay.changed}
            versions = later_versions(entries, at, end)
            found = partly = None
            for lsn in range(lowest, highest + 1):
                points_tried += 1
                watched = set(wanted) | set(versions)
                seen = history.blocks(lsn, watched)
                off = [n for n in watched if seen[n] != block_of(replay.image, n)]
                if not off:
                    found = lsn
                    break
                if partly is None and all(seen[n] in versions.get(n, []) for n in off):
                    partly = lsn
            chosen = found if found is not None else partly
            if chosen is None:
                sys.exit("%s: no point from LSN %d to %d has what was flushed" % (where, lowest, highest))
            wrong = differing(replay.image, history.restore("lsn:%d" % chosen))
            if found is not None and wrong:
                sys.exit("%s: blocks %s of the restore at LSN %d are not those of the replay" % (where, wrong[:20], chosen))
            if found is None:
                if not name_of_step(entries, at).startswith("many"):
                    sys.exit("%s: one process wrote, and no point from LSN %d to %d equals the replay" % (where, lowest, highest))
                under_way += 1
            else:
                exact += 1
                replay.changed.clear()
            lowest = chosen
        if mounted:
            check_file_system(replay.image, work, where)
    print(
        "- %d entries: %d flushes and FUA writes equal to a restore, byte for byte, and %d more but for writes under way;"
        " %d marks by name; %d points tried" % (len(entries), exact, under_way, named, points_tried)
    )
    print("counted: %d flush marks of the kernel compared" % (exact + named))
    if exact + named < 50:
        sys.exit("only %d images were compared" % (exact + named))


def name_of_step(entries, at):
    return next((entry[4] for entry in entries[at:] if entry[0] & MARK), "")


main(*sys.argv[1:])
