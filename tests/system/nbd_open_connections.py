# SPDX-License-Identifier: Apache-2.0
"""2,000 open NBD connections that say nothing, and 2,000 that stop behind STARTTLS, beside clients that work.

nbd_open_connections.py SOCKET PORT KEYS PID LOG: `disk` is served in clear at SOCKET, and by TLS at PORT to `guest`, who
has a key in KEYS. PID is the daemon's, LOG its log."""

import os
import resource
import selectors
import socket
import struct
import sys
import threading
import time

import nbd

SOCKET, PORT, KEYS, PID, LOG = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
MANY = 2000
# What the daemon may have at once, of all kinds (Limits::connections_max).
PLACES = 1024
FLAGS_AND_STARTTLS = struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 5, 0)


def client(by_tcp):
    handle = nbd.NBD()
    handle.set_export_name("disk")
    if by_tcp:
        handle.set_tls(nbd.TLS_REQUIRE)
        handle.set_tls_psk_file(KEYS)
        handle.set_tls_username("guest")
        handle.connect_tcp("127.0.0.1", str(PORT))
    else:
        handle.connect_unix(SOCKET)
    return handle


def client_that_tries_again(by_tcp):
    """As one does that lost its place, because it took a second to negotiate on a machine that is busy."""
    for _ in range(20):
        try:
            return client(by_tcp)
        except nbd.Error as error:
            refused = error
    raise refused


def works(handle, seed):
    payload = struct.pack(">Q", seed) * 512
    handle.pwrite(payload, (seed % 1000) * 4096)
    handle.flush()
    assert handle.pread(4096, (seed % 1000) * 4096) == payload


def sockets():
    """That the daemon has open."""
    count = 0
    for number in os.listdir(f"/proc/{PID}/fd"):
        try:
            count += os.readlink(f"/proc/{PID}/fd/{number}").startswith("socket:")
        except FileNotFoundError:  # closed meanwhile
            pass
    return count


def resident_bytes():
    with open(f"/proc/{PID}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Crowd(threading.Thread):
    """Of connections by TCP, each of which says its words, and no more. For each that the server ends another comes."""

    def __init__(self, words):
        super().__init__(daemon=True)
        self.words = words
        self.came = 0
        self.leaving = False
        self.selector = selectors.DefaultSelector()

    def come(self):
        raw = socket.socket()
        raw.setblocking(False)
        raw.connect_ex(("127.0.0.1", PORT))
        self.selector.register(raw, selectors.EVENT_WRITE)
        self.came += 1

    def run(self):
        for _ in range(MANY):
            self.come()
        while not self.leaving:
            for key, event in self.selector.select(0.05):
                if not self.goes_on(key.fileobj, event):
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()
                    self.come()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()

    def goes_on(self, raw, event):
        try:
            if event & selectors.EVENT_READ:
                return raw.recv(4096) != b""
            raw.send(self.words)  # which is short
            self.selector.modify(raw, selectors.EVENT_READ)
            return True
        except OSError:
            return False

    def leave(self):
        self.leaving = True
        self.join()


def wait_until(holds):
    """For a number of the daemon's sockets: that of one who waits half a minute in vain is told."""
    for _ in range(600):
        if holds(sockets()):
            return
        time.sleep(0.05)
    raise AssertionError("the daemon has %d sockets open" % sockets())


def storm(what, words, workers):
    log_bytes = os.path.getsize(LOG)
    before = sockets()
    crowd = Crowd(words)
    crowd.start()
    wait_until(lambda count: count >= before + PLACES * 3 // 4)
    for number, handle in enumerate(workers):
        works(handle, 1 + number)
    for number, by_tcp in enumerate((False, True, False, True)):
        handle = client_that_tries_again(by_tcp)
        works(handle, 100 + number)
        handle.shutdown()
    for number, handle in enumerate(workers):
        works(handle, 200 + number)
    at_most = sockets()
    assert at_most <= before + PLACES + 64, "%d sockets" % at_most
    crowd.leave()
    wait_until(lambda count: count <= before)
    for number, handle in enumerate(workers):
        works(handle, 300 + number)
    grown = os.path.getsize(LOG) - log_bytes
    # A line of each would be 250 KB.
    assert grown < 64 << 10, "the log grew by %d bytes" % grown
    print("    ok      %d %s: %d sockets, %d KiB resident after it, the log grew by %d bytes"
          % (crowd.came, what, at_most, resident_bytes() >> 10, grown), flush=True)


hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
working = [client(by_tcp) for by_tcp in (False, True)]
memory = []
for _ in range(2):
    storm("connections that say nothing", b"", working)
    storm("connections that stop behind STARTTLS", FLAGS_AND_STARTTLS, working)
    memory.append(resident_bytes())
for handle in working:
    handle.shutdown()
# Freed memory is not all given back, as it is in pieces. What each of them had would be 100 MiB a round.
assert memory[1] < memory[0] + (48 << 20), "memory grew from round to round: %s" % memory
