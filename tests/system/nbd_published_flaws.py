# SPDX-License-Identifier: Apache-2.0
"""What brought other NBD servers down, or let somebody in, as far as it was published: a check each.

nbd_published_flaws.py SOCKET PORT PID, where `disk` (64 MiB) is served by the process. Those of TLS (CVE-2021-3716) and
of who is let in (CVE-2013-6410) are in nbd_over_tls.py."""
import errno
import os
import socket
import struct
import sys
import time

SOCKET, PORT, PID = sys.argv[1], int(sys.argv[2]), sys.argv[3]
SIZE = 64 << 20
EXPORT_NAME, LIST, INFO, GO, STRUCTURED, LIST_CONTEXT, SET_CONTEXT = 1, 3, 6, 7, 8, 9, 10
ACK, ERROR = 1, 1 << 31
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, BLOCK_STATUS = range(8)


def receive(raw, count):
    data = b""
    while len(data) < count:
        more = raw.recv(count - len(data))
        if not more:
            raise ConnectionError("the server ended the connection")
        data += more
    return data


def greeted(flags=3, by_tcp=False):
    raw = socket.socket(socket.AF_INET if by_tcp else socket.AF_UNIX)
    raw.settimeout(30)
    raw.connect(("127.0.0.1", PORT) if by_tcp else SOCKET)
    assert receive(raw, 18)[:16] == b"NBDMAGICIHAVEOPT"
    raw.sendall(struct.pack(">I", flags))
    return raw


def option(number, data=b"", length=None):
    return b"IHAVEOPT" + struct.pack(">II", number, len(data) if length is None else length) + data


def info(name, name_bytes=None, requests=0):
    return struct.pack(">I", len(name) if name_bytes is None else name_bytes) + name + struct.pack(">H", requests)


def reply(raw):
    magic, number, kind, length = struct.unpack(">QIII", receive(raw, 20))
    assert magic == 0x3E889045565A9 and length < 1 << 20, (hex(magic), length)
    return number, kind, receive(raw, length)


def last_reply(raw, number):
    """The one that is no piece of information."""
    while True:
        to, kind, data = reply(raw)
        assert to == number
        if kind not in (2, 3, 4):
            return kind, data


def entered(name=b"disk", structured=False, by_tcp=False):
    raw = greeted(by_tcp=by_tcp)
    if structured:
        raw.sendall(option(STRUCTURED))
        assert last_reply(raw, STRUCTURED)[0] == ACK
        context = b"base:allocation"
        query = struct.pack(">I", len(name)) + name + struct.pack(">II", 1, len(context)) + context
        raw.sendall(option(SET_CONTEXT, query))
        assert last_reply(raw, SET_CONTEXT)[0] == ACK
    raw.sendall(option(GO, info(name)))
    assert last_reply(raw, GO)[0] == ACK
    return raw


def request(kind, cookie, offset, length, flags=0):
    return struct.pack(">IHHQQI", 0x25609513, flags, kind, cookie, offset, length)


def simple_reply(raw):
    magic, error, cookie = struct.unpack(">IIQ", receive(raw, 16))
    assert magic == 0x67446698, hex(magic)
    return error, cookie


def closed(raw):
    """Whether the server ends the connection, whatever it says before."""
    try:
        while raw.recv(65536):
            pass
        return True
    except ConnectionError:
        return True
    except socket.timeout:
        return False


def resident_bytes():
    with open(f"/proc/{PID}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def is_served():
    raw = entered()
    raw.sendall(request(READ, 1, 0, 512))
    assert simple_reply(raw) == (0, 1) and len(receive(raw, 512)) == 512
    raw.close()


def check_cve_2005_3534_request_larger_than_the_buffer():
    """nbd-server: a request whose length, with its header, overflowed the buffer for both."""
    for length in (0xFFFFFFFF, 0xFFFFFFE4, 0x80000000, (32 << 20) + 1, 1 << 20 | 16):
        raw = entered()
        raw.sendall(request(READ, 7, 0, length))
        magic, error, cookie = struct.unpack(">IIQ", receive(raw, 16))
        assert cookie == 7 and (error != 0 or length < 32 << 20), (hex(length), error)
        raw.close()


def check_cve_2011_0530_write_larger_than_what_comes():
    """nbd-server: the payload of a write was copied to the stack by the client's own length."""
    before = resident_bytes()
    for length in (0xFFFFFFFF, 64 << 20, (32 << 20) + 4096):
        raw = entered()
        raw.sendall(request(WRITE, 7, 0, length) + b"x" * 65536)
        raw.shutdown(socket.SHUT_WR)
        assert closed(raw), hex(length)
    assert resident_bytes() < before + (64 << 20), "memory was taken on the client's word"


def check_cve_2011_1925_clients_that_leave_while_they_negotiate():
    """nbd-server: a negotiation that broke off left a null pointer, which the next step used."""
    whole = struct.pack(">I", 3) + option(GO, info(b"disk"))
    for cut in range(0, len(whole), 3):
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(SOCKET)
        raw.sendall(whole[:cut])
        raw.close()


def check_cve_2013_7441_an_unknown_export_ends_one_client_alone():
    """nbd-server: what ended one client's negotiation ended the server."""
    neighbour = entered()
    raw = greeted()
    raw.sendall(option(EXPORT_NAME, b"nowhere"))
    assert closed(raw)
    neighbour.sendall(request(READ, 3, 0, 512))
    assert simple_reply(neighbour) == (0, 3)


def check_cve_2015_0847_many_clients_that_end_at_once():
    """nbd-server: what was done about children that had ended, in a signal handler, could lock the server for ever."""
    for _ in range(5):
        crowd = [entered() for _ in range(40)]
        for raw in crowd:
            raw.close()
    is_served()


def check_cve_2017_7539_clients_that_leave_before_they_are_answered():
    """qemu: a client that went away while the server wrote to it brought the server down."""
    for _ in range(50):
        raw = greeted()
        raw.sendall(b"".join(option(LIST) for _ in range(20)))
        raw.close()


def check_cve_2017_9524_clients_that_leave_with_replies_under_way():
    """qemu: requests in flight outlived the client that they were to be answered to."""
    for _ in range(30):
        raw = entered()
        raw.sendall(b"".join(request(READ, cookie, cookie << 16, 1 << 16) for cookie in range(64)))
        raw.close()


def check_cve_2017_10664_replies_to_clients_that_have_left():
    """qemu: whoever wrote to a client that was gone was sent SIGPIPE, which ended the server."""
    for by_tcp in (False, True):
        for reads in (1, 2, 64) * 10:
            raw = entered(by_tcp=by_tcp)
            # More than what the sockets hold: the server is still writing when the client leaves.
            raw.sendall(b"".join(request(READ, cookie, 0, 1 << 20) for cookie in range(reads)))
            receive(raw, 16)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # TCP says RST, not FIN
            raw.close()


def check_cve_2017_15118_a_name_of_3000_bytes():
    """qemu: a name that the protocol allows, longer than the 256 bytes on the stack that it was copied to."""
    for number in (INFO, GO):
        for size in (257, 1024, 3000, 4096):
            raw = greeted()
            raw.sendall(option(number, info(b"a" * size)))
            kind, _ = last_reply(raw, number)
            assert kind > ERROR, (number, size, hex(kind))
            raw.sendall(option(LIST))
            assert last_reply(raw, LIST)[0] == ACK, "the connection goes on"
    raw = greeted()
    raw.sendall(option(EXPORT_NAME, b"a" * 3000))
    assert closed(raw)


def check_cve_2017_15119_options_of_4_gib():
    """qemu: the data of an option that nobody knows was read, as much as the client said, and taken time for."""
    began = time.process_time()
    for number in (LIST, GO, LIST_CONTEXT, 77):
        raw = greeted()
        raw.sendall(option(number, b"x" * 65536, length=0xFFFFFFFF))
        raw.shutdown(socket.SHUT_WR)
        assert closed(raw)
    assert time.process_time() - began < 10
    is_served()


def check_cve_2019_14850_connections_that_say_nothing_open_nothing():
    """nbdkit: before a client had said a word, what it had not asked for was opened for it."""
    before = len(os.listdir(f"/proc/{PID}/fd"))
    silent = [greeted() for _ in range(50)]
    assert len(os.listdir(f"/proc/{PID}/fd")) <= before + 50, "more than the sockets is open"
    for raw in silent:
        raw.close()


def check_cve_2019_14851_info_before_go():
    """nbdkit: a client that asked for information on one export and then entered another found the server's assertion."""
    for first in (b"nowhere", b"disk", b"", b"disk@lsn:1"):
        for second in (b"disk", b"nowhere"):
            raw = greeted()
            for name in (first, first, second):
                raw.sendall(option(INFO, info(name)))
                last_reply(raw, INFO)
            raw.sendall(option(GO, info(second)))
            kind, _ = last_reply(raw, GO)
            assert (kind == ACK) == (second == b"disk"), (first, second, hex(kind))


def check_cve_2020_10761_errors_that_repeat_a_long_name():
    """qemu: an error message with the 4096 bytes of a name was longer than a message was asserted to be."""
    for name in (b"n" * 4096, b"\xff" * 4096, b"%s" * 2048, bytes(range(1, 256)) * 16):
        raw = greeted()
        raw.sendall(option(GO, info(name)))
        kind, text = last_reply(raw, GO)
        assert kind > ERROR and len(text) <= 4096, (hex(kind), len(text))


def check_cve_2022_26495_a_name_of_2_to_the_32_bytes():
    """nbd-server: the length of a name plus one was zero, and so was what was allocated for it."""
    for length in (0xFFFFFFFF, 0xFFFFFFFE, 0x80000000, 5):
        for number in (INFO, GO):
            raw = greeted()
            raw.sendall(option(number, info(b"disk", name_bytes=length)))
            kind, _ = last_reply(raw, number)
            assert kind > ERROR, (number, hex(length), hex(kind))


def check_cve_2022_26496_more_information_than_there_is():
    """nbd-server: the list of what a client wants to know was read over the end of its memory."""
    for requests in (1, 2, 0x7FFF, 0xFFFF):
        raw = greeted()
        raw.sendall(option(GO, info(b"disk", requests=requests)))
        kind, _ = last_reply(raw, GO)
        assert kind > ERROR, (requests, hex(kind))
    raw = greeted()
    many = info(b"disk", requests=1000) + struct.pack(">H", 3) * 1000
    raw.sendall(option(GO, many))
    assert last_reply(raw, GO)[0] in (ACK, ERROR + 3, ERROR + 9), "a thousand that are there"


def check_cve_2024_7409_clients_that_stay_in_the_negotiation():
    """qemu: clients that came and stayed while the server ended, or never entered, brought it down. Here those that are
    there when it ends are in clean_stop_under_load; these must not keep others out."""
    waiting = [greeted() for _ in range(200)]
    is_served()
    for raw in waiting:
        raw.close()


def check_cve_2025_47711_block_status_of_everything():
    """nbdkit: the extents of a request of 4 GiB minus one were more than the reply was asserted to hold."""
    raw = entered(structured=True)
    for offset, length in ((0, 0xFFFFFFFF), (0, SIZE), (1, SIZE - 1), (SIZE - 1, 1), (SIZE, 1), (0, 0)):
        raw.sendall(request(BLOCK_STATUS, 9, offset, length))
        while True:
            magic, flags, kind, cookie, size = struct.unpack(">IHHQI", receive(raw, 20))
            assert magic == 0x668E33EF and cookie == 9 and size <= 32 << 20
            data = receive(raw, size)
            if kind & 1 << 15:
                assert struct.unpack(">I", data[:4])[0] in (errno.EINVAL, errno.ENOSPC, errno.EOVERFLOW), data
            if flags & 1:
                break
    raw.sendall(request(READ, 4, 0, 512))
    assert struct.unpack(">IHHQI", receive(raw, 20))[3] == 4


def check_cve_2025_47712_zeroes_and_trims_of_nearly_4_gib():
    """nbdkit: rounding up the end of a large request to the block size overflowed."""
    for kind in (TRIM, ZEROES, CACHE):
        for offset, length in ((1, 0xFFFFFFFF), (SIZE - 1, 0xFFFFFFFF), (0xFFFFFFFFFFFFFFFF, 1), (1 << 63, 4096),
                               (0xFFFFFFFFFFFFF000, 0x1000)):
            raw = entered()
            raw.sendall(request(kind, 5, offset, length))
            error, cookie = simple_reply(raw)
            assert cookie == 5 and error in (errno.EINVAL, errno.ENOSPC), (kind, hex(offset), hex(length), error)
            raw.close()


checks = {name: check for name, check in globals().items() if name.startswith("check_")}
for name, check in checks.items():
    check()
    is_served()
    _, _, year, number, *words = name.split("_")
    print(f"    ok      CVE-{year}-{number}: {' '.join(words)}")
print(f"counted: {len(checks)} published flaws of other servers tried")
