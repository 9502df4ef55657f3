# SPDX-License-Identifier: Apache-2.0
"""A client that remembers what a server acknowledged, for tests that kill the server.

    flush_witness.py write SOCKET EXPORT OFFSET LOG    until the server goes away
    flush_witness.py check SOCKET EXPORT OFFSET LOG    after its restart

It writes blocks with a growing serial number into 256 slots from OFFSET on, four at a time, and
makes them durable by FLUSH or by FUA. LOG gets, outside of the server, "r N" when a run begins after
serial N (what was under way before may be lost by then), "s N" before serial N is sent, "f N" when a flush is answered that came after the replies to all serials up to N, and "u N"
when the FUA write of serial N is answered. A slot must then hold a whole block of one serial, not
older than the newest acknowledged one and not newer than the newest one sent.
"""

import os
import struct
import sys

import nbd

SLOTS = 256
BLOCK = 4096


def payload(serial):
    return struct.pack("<Q", serial) * (BLOCK // 8)


def connect(path, export):
    handle = nbd.NBD()
    handle.set_export_name(export)
    handle.connect_unix(path)
    return handle


def newest_sent(log):
    newest = 0
    if os.path.exists(log):
        for line in open(log):
            newest = max(newest, int(line.split()[1]))
    return newest


def write(path, export, offset, log):
    handle = connect(path, export)
    serial = newest_sent(log)
    # One write(2) a line: what was acknowledged is known even if this process is killed.
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(out, b"r %d\n" % serial)
    try:
        while True:
            cookies = []
            for _ in range(4):
                serial += 1
                os.write(out, b"s %d\n" % serial)
                if serial % 16 == 0:
                    handle.pwrite(payload(serial), offset + serial % SLOTS * BLOCK, nbd.CMD_FLAG_FUA)
                    os.write(out, b"u %d\n" % serial)
                else:
                    data = nbd.Buffer.from_bytearray(bytearray(payload(serial)))
                    cookies.append((handle.aio_pwrite(data, offset + serial % SLOTS * BLOCK), data))
            # The buffers stay referenced until their commands are complete.
            while True:
                cookies = [(cookie, data) for cookie, data in cookies if not handle.aio_command_completed(cookie)]
                if not cookies:
                    break
                handle.poll(-1)
            handle.flush()
            os.write(out, b"f %d\n" % serial)
    except nbd.Error:
        pass  # The server was killed, which is what this waits for.


def check(path, export, offset, log):
    acknowledged = [0] * SLOTS
    sent = [[] for _ in range(SLOTS)]
    flushes = 0
    pending = {}
    for line in open(log):
        kind, serial = line.split()
        serial = int(serial)
        slot = serial % SLOTS
        if kind == "r":
            pending = {}
        elif kind == "s":
            sent[slot].append(serial)
            pending[slot] = serial
        elif kind == "u":
            acknowledged[slot] = max(acknowledged[slot], serial)
        else:
            flushes += 1
            for other, last in pending.items():
                if last <= serial:
                    acknowledged[other] = max(acknowledged[other], last)
    handle = connect(path, export)
    for slot in range(SLOTS):
        block = handle.pread(BLOCK, offset + slot * BLOCK)
        serial = struct.unpack("<Q", block[:8])[0]
        if block != payload(serial):
            sys.exit("slot %d holds a torn block that begins with serial %d" % (slot, serial))
        if serial < acknowledged[slot]:
            sys.exit("slot %d holds serial %d, but %d was acknowledged as durable" % (slot, serial, acknowledged[slot]))
        if serial and serial not in sent[slot]:
            sys.exit("slot %d holds serial %d, which was never sent to it" % (slot, serial))
    handle.shutdown()
    print("%d flushes acknowledged, all kept; newest serial %d" % (flushes, max(acknowledged)))


{"write": write, "check": check}[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
