# SPDX-License-Identifier: Apache-2.0
"""Writes a volume at random and knows what it held at any time.

    timed_writer.py write SOCKET EXPORT SECONDS SEED LOG      one change at a time, logged with its times
    timed_writer.py check LOG SIZE AT-MICROSECONDS IMAGE      whether IMAGE is the volume at that time

LOG has one line a change: sent and acknowledged (microseconds since 1970), kind, offset, length,
seed of its bytes. A change acknowledged by the time must be in the image, one sent after it must not
be; the one under way then, if any, may be there or not, as a whole.
"""

import os
import random
import sys
import time

import nbd


def now():
    return time.time_ns() // 1000


def payload(kind, length, seed):
    return random.Random(seed).randbytes(length) if kind == "write" else bytes(length)


def write(path, export, seconds, seed, log):
    handle = nbd.NBD()
    handle.set_export_name(export)
    handle.connect_unix(path)
    size = handle.get_size()
    choice = random.Random(seed)
    end = time.monotonic() + seconds
    with open(log, "a") as out:
        while time.monotonic() < end:
            kind = choice.choices(["write", "zero", "trim", "flush"], [80, 6, 4, 10])[0]
            aligned = kind == "trim" or choice.random() < 0.5
            unit = 4096 if aligned else 1
            length = unit * choice.randint(1, 16 if aligned else 20000)
            offset = choice.randrange(0, size - length + 1) // unit * unit
            number = choice.randrange(1 << 40)
            data = payload(kind, length, number)
            sent = now()
            if kind == "write":
                handle.pwrite(data, offset)
            elif kind == "zero":
                handle.zero(length, offset)
            elif kind == "trim":
                handle.trim(length, offset)
            else:
                handle.flush()
            if kind != "flush":
                out.write("%d %d %s %d %d %d\n" % (sent, now(), kind, offset, length, number))
            time.sleep(choice.random() * 0.004)
        handle.flush()
    handle.shutdown()


def check(log, size, at, image):
    content = bytearray(size)
    under_way = None
    applied = 0
    for line in open(log):
        sent, acknowledged, kind, offset, length, number = line.split()
        offset, length = int(offset), int(length)
        if int(sent) > at:
            break
        change = (offset, payload(kind, length, int(number)))
        if int(acknowledged) > at:
            under_way = change
            break
        content[offset:offset + length] = change[1]
        applied += 1
    restored = open(image, "rb").read()
    if len(restored) != size:
        sys.exit("%s has %d bytes, not %d" % (image, len(restored), size))
    if restored != content and under_way:
        offset, data = under_way
        content[offset:offset + len(data)] = data
    if restored != content:
        wrong = [block for block in range(0, size, 4096) if restored[block:block + 4096] != content[block:block + 4096]]
        sys.exit("%s differs from the model after %d changes in %d blocks, the first at byte %d" %
                 (image, applied, len(wrong), wrong[0]))
    print("%d changes" % applied)


if sys.argv[1] == "write":
    write(sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
else:
    check(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
