# SPDX-License-Identifier: Apache-2.0
"""What a client may and may not do around NBD_OPT_STARTTLS: nbd_over_tls.py CERTIFICATES PORT SOCKET.

CERTIFICATES has a directory for each client (as libnbd takes them); `disk` (64 MiB) and `other` are served by TLS at
PORT, and by either way at SOCKET. `web` may have disk live, `auditor` its views, `admin` everything, `nobody` nothing;
by a key of CERTIFICATES/keys.psk `guest` may have disk live, and others nothing.
`nbd_over_tls.py CERTIFICATES PORT SOCKET server` prints the fingerprint of the server's certificate;
`... hold` connects as web, says so, and works on when a line comes.
"""

import errno
import hashlib
import os
import random
import socket
import ssl
import struct
import sys
import time

import nbd
from nbd_path_tricks import path_tricks

CERTIFICATES, PORT, SOCKET = sys.argv[1], int(sys.argv[2]), sys.argv[3]
MIB = 1 << 20
EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO, STRUCTURED, LIST_CONTEXTS, SET_CONTEXT = 1, 2, 3, 5, 6, 7, 8, 9, 10
ACK, SERVER, REP_INFO = 1, 2, 3
UNSUP, INVALID, TLS_REQD, UNKNOWN = (1 << 31) + 1, (1 << 31) + 3, (1 << 31) + 5, (1 << 31) + 6


def option(number, data=b""):
    return b"IHAVEOPT" + struct.pack(">II", number, len(data)) + data


def info_data(name):
    name = name if isinstance(name, bytes) else name.encode()
    return struct.pack(">I", len(name)) + name + struct.pack(">H", 0)


def context_data(name):
    query = b"base:allocation"
    return struct.pack(">I", len(name)) + name.encode() + struct.pack(">II", 1, len(query)) + query


def receive(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            raise ConnectionError("the server ended the connection")
        data += more
    return data


def reply(stream):
    magic, number, kind, length = struct.unpack(">QIII", receive(stream, 20))
    assert magic == 0x3E889045565A9, hex(magic)
    return number, kind, receive(stream, length)


def ask(stream, number, data=b""):
    """The kind of the last reply to an option, and all data on the way."""
    stream.sendall(option(number, data))
    everything = []
    while True:
        to, kind, payload = reply(stream)
        assert to == number
        if kind not in (SERVER, REP_INFO, 4):
            return kind, everything
        everything.append(payload)


def connected(by_unix=False):
    """In clear, after the greeting."""
    if by_unix:
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(60)
        plain.connect(SOCKET)
    else:
        plain = socket.create_connection(("127.0.0.1", PORT), 60)
    assert receive(plain, 18)[:16] == b"NBDMAGICIHAVEOPT"
    plain.sendall(struct.pack(">I", 3))
    return plain


def context_of(client):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(CERTIFICATES + "/web/ca-cert.pem")
    if client:
        directory = CERTIFICATES + "/" + client
        context.load_cert_chain(directory + "/client-cert.pem", directory + "/client-key.pem")
    return context


def secured(client, plain=None, context=None):
    plain = plain or connected()
    plain.sendall(option(STARTTLS))
    assert reply(plain) == (STARTTLS, ACK, b"")
    return (context or context_of(client)).wrap_socket(plain, server_hostname="localhost")


def closed_by_server(stream):
    """Without another word in clear, but for alerts of TLS."""
    said = b""
    try:
        while True:
            more = stream.recv(65536)
            if not more:
                break
            said += more
    except ConnectionError:
        pass
    except socket.timeout:
        raise AssertionError("the connection was still there after 60 s")
    assert b"NBD" not in said and struct.pack(">Q", 0x3E889045565A9) not in said, said
    assert b"disk" not in said, said
    return True


def names(stream):
    kind, entries = ask(stream, LIST)
    assert kind == ACK, kind
    return sorted(entry[4 : 4 + struct.unpack(">I", entry[:4])[0]].decode() for entry in entries)


def refused_handshake(client, context=None):
    """In TLS 1.3 the client learns of it when it reads."""
    try:
        stream = secured(client, context=context)
        stream.sendall(option(LIST))
        assert not stream.recv(1), "it was answered"
    except (ssl.SSLError, ConnectionError):
        pass


def check_before_tls_nothing_is_told():
    plain = connected()
    for number in (LIST, INFO, GO, STRUCTURED, LIST_CONTEXTS, SET_CONTEXT, 4, 11, 77):
        for data in (b"", info_data("disk"), context_data("disk"), bytes(100000)):
            plain.sendall(option(number, data))
            to, kind, text = reply(plain)
            assert (to, kind) == (number, TLS_REQD), (number, to, hex(kind))
            assert b"disk" not in text and b"other" not in text
    assert ask(plain, ABORT)[0] == ACK
    assert closed_by_server(plain)
    plain = connected()
    plain.sendall(option(EXPORT_NAME, b"disk"))
    assert closed_by_server(plain)


def check_starttls_with_data_or_twice_is_invalid():
    plain = connected()
    assert ask(plain, STARTTLS, b"x")[0] == INVALID
    assert ask(plain, STARTTLS, bytes(100000))[0] == INVALID
    stream = secured("web", plain)
    assert stream.version() == "TLSv1.3"
    assert ask(stream, STARTTLS)[0] == INVALID
    assert ask(stream, GO, info_data("disk"))[0] == ACK


def check_plaintext_behind_starttls_ends_the_connection():
    """CVE-2021-3716, of nbdkit."""
    for injected in (b"\0", option(LIST), option(GO, info_data("disk")), os.urandom(5000)):
        plain = connected()
        plain.sendall(option(STARTTLS) + injected)
        assert closed_by_server(plain)
    # Later, it is no handshake.
    plain = connected()
    plain.sendall(option(STARTTLS))
    assert reply(plain) == (STARTTLS, ACK, b"")
    plain.sendall(option(LIST) + option(GO, info_data("disk")))
    assert closed_by_server(plain)


def check_nothing_agreed_in_clear_holds():
    plain = connected(by_unix=True)
    assert ask(plain, STRUCTURED)[0] == ACK
    assert ask(plain, SET_CONTEXT, context_data("disk"))[0] == ACK
    stream = secured("web", plain)
    assert ask(stream, LIST_CONTEXTS, context_data("disk"))[0] == INVALID
    kind, entries = ask(stream, GO, info_data("disk"))
    assert kind == ACK
    size, flags = struct.unpack(">QH", entries[0][2:12])
    assert size == 64 * MIB and not flags & 0x80, (size, flags)


def check_certificates():
    for client in ("foreign", "expired", "server-only", None):
        refused_handshake(client)
    old = context_of("web")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    refused_handshake("web", old)
    assert names(secured("web")) == ["disk"]


def check_rights():
    everything = {"disk", "other", "copy"}
    for client, live, views in (
        ("web", {"disk"}, set()),
        ("auditor", set(), {"disk"}),
        ("admin", everything, {"disk", "other"}),
        ("byid", {"other"}, {"other"}),
        ("cloner", {"copy"}, set()),
        ("nobody", set(), set()),
    ):
        assert names(secured(client)) == sorted(live), client
        for name in everything:
            stream = secured(client)
            for number, data in ((INFO, info_data(name)), (GO, info_data(name))):
                kind = ask(stream, number, data)[0]
                assert kind == (ACK if name in live else UNKNOWN), (client, name, number, hex(kind))
                if number == GO and name in live:
                    break
        for name in ("disk", "other"):
            stream = secured(client)
            kind = ask(stream, GO, info_data(name + "@lsn:3"))[0]
            assert kind == (ACK if name in views else UNKNOWN), (client, name, hex(kind))
    # What is not for a client is answered in the words for what is not there.
    stream = secured("web")
    stream.sendall(option(INFO, info_data("other")) + option(INFO, info_data("ether")))
    assert reply(stream)[2].replace(b"other", b"ether") == reply(stream)[2]
    stream.sendall(option(INFO, info_data("other@lsn:999999")) + option(INFO, info_data("ether@lsn:999999")))
    assert reply(stream)[2].replace(b"other", b"ether") == reply(stream)[2]
    stream.sendall(option(EXPORT_NAME, b"other"))
    try:
        assert not stream.recv(1)
    except (ssl.SSLError, ConnectionError):
        pass


def check_a_name_is_no_path():
    """Not to what its client has no right to, and not from what it has one to: byid has `other`, and nothing else."""
    state = os.path.dirname(SOCKET)
    for name in path_tricks("disk", "other", state) + path_tricks("other", "disk", state):
        stream = secured("byid")
        for number in (INFO, GO):
            kind = ask(stream, number, info_data(name))[0]
            assert kind == (INVALID if b"\0" in name else UNKNOWN), (number, name, hex(kind))
        stream.sendall(option(EXPORT_NAME, name))
        try:
            assert not stream.recv(1), "EXPORT_NAME of %r was answered" % name
        except (ssl.SSLError, ConnectionError):
            pass


def check_cve_2013_6410_a_name_that_is_a_part_of_another():
    """nbd-server: a client was let in whose address was a part of one in the list. Here `web`, `guest`, and all that is
    nearly `nobody` have rights; these have none."""
    for client in ("nobody", "we", "web1", "Web"):
        stream = secured(client)
        assert names(stream) == [], client
        for name in ("disk", "other", "copy", "disk@lsn:3"):
            assert ask(stream, GO, info_data(name))[0] == UNKNOWN, (client, name)
    assert shown_by_key("guest") == ["disk"]
    for client in ("nobody", "gues", "guest1", "Guest"):
        assert shown_by_key(client) == [], client


def shown_by_key(client):
    """What it sees in the list; it must get that, and no more."""
    handle = nbd.NBD()
    handle.set_opt_mode(True)
    handle.set_tls(nbd.TLS_REQUIRE)
    handle.set_tls_psk_file(CERTIFICATES + "/keys.psk")
    handle.set_tls_username(client)
    handle.connect_tcp("127.0.0.1", str(PORT))
    shown = []
    handle.opt_list(lambda name, description: shown.append(name) or 0)
    for name in ("disk", "other", "copy", "disk@lsn:3"):
        handle.set_export_name(name)
        try:
            handle.opt_info()
            assert name in shown, (client, name)
        except nbd.Error as error:
            assert error.errnum == errno.ENOENT and name not in shown, (client, name, error)
    handle.opt_abort()
    return shown


def check_rubbish_handshakes():
    for rubbish in (os.urandom(200000), b"\x16\x03\x01\xff\xff" + bytes(70000),
                    b"\x16\x03\x01\x40\x00\x01\xff\xff\xff\x03\x03" + bytes(16377),
                    b"\x16\x03\x01\x00\x00" * 20000, b"\x17\x03\x03\x00\x20" + bytes(32), b"\x80\x2e\x01\x03\x03"):
        plain = connected()
        plain.sendall(option(STARTTLS))
        assert reply(plain) == (STARTTLS, ACK, b"")
        try:
            plain.sendall(rubbish)
            plain.shutdown(socket.SHUT_WR)
        except OSError:  # it is closed already
            pass
        assert closed_by_server(plain)


def check_a_stalled_handshake_is_dropped():
    stalled = []
    for half in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)):
        plain = connected()
        plain.sendall(option(STARTTLS))
        assert reply(plain) == (STARTTLS, ACK, b"")
        plain.sendall(half)
        stalled.append(plain)
    started = time.monotonic()
    for plain in stalled:
        assert closed_by_server(plain)
    assert 5 < time.monotonic() - started < 20, time.monotonic() - started


def check_a_cut_within_a_write_changes_nothing():
    before = libnbd_client().pread(65536, 0)
    for cut in (1, 27, 28, 1000, 65536):
        stream = secured("web")
        stream.sendall(option(EXPORT_NAME, b"disk"))
        receive(stream, 10)
        data = struct.pack(">IHHQQI", 0x25609513, 0, 1, 1, 0, 65536) + b"c" * 65536
        stream.sendall(data[:cut])
        stream.close()  # without close_notify
    handle = libnbd_client()
    assert handle.pread(65536, 0) == before
    handle.shutdown()


def libnbd_client(export="disk", client="web"):
    handle = nbd.NBD()
    handle.set_tls(nbd.TLS_REQUIRE)
    handle.set_tls_certificates(CERTIFICATES + "/" + client)
    handle.set_export_name(export)
    handle.connect_tcp("127.0.0.1", str(PORT))
    assert handle.get_tls_negotiated()
    return handle


def check_ten_mib_of_random_writes():
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    handle = libnbd_client()
    model = bytearray(handle.pread(16 * MIB, 0))
    written = 0
    while written < 10 * MIB:
        length = chance.choice((1, 512, 4096, chance.randrange(1, 70000), chance.randrange(1, MIB)))
        offset = chance.randrange(0, 16 * MIB - length)
        data = chance.randbytes(length)
        handle.pwrite(data, offset)
        model[offset : offset + length] = data
        written += length
    handle.flush()
    assert handle.pread(16 * MIB, 0) == model, "seed %d" % seed
    big = chance.randbytes(32 * MIB)
    handle.pwrite(big, 24 * MIB)
    assert handle.pread(32 * MIB, 24 * MIB) == big, "seed %d" % seed
    handle.shutdown()
    plain = nbd.NBD()
    plain.set_export_name("disk")
    plain.connect_unix(SOCKET)
    assert plain.pread(16 * MIB, 0) == model, "seed %d, by the unix socket" % seed
    assert plain.pread(32 * MIB, 24 * MIB) == big, "seed %d, by the unix socket" % seed
    plain.shutdown()


def check_many_clients_at_once():
    handles = [libnbd_client() for _ in range(32)]
    for handle in handles:
        handle.pread(4096, 0)
    for handle in handles:
        handle.shutdown()


def server_fingerprint():
    print(hashlib.sha256(secured("web").getpeercert(True)).hexdigest())


def hold():
    handle = libnbd_client()
    print("connected", flush=True)
    sys.stdin.readline()
    handle.pwrite(b"h" * 4096, 0)
    assert handle.pread(4096, 0) == b"h" * 4096
    handle.shutdown()


def main():
    failed = 0
    for name, check in sorted(globals().items()):
        if not name.startswith("check_"):
            continue
        started = time.monotonic()
        try:
            check()
            print("    ok      %s (%.1f s)" % (name[6:].replace("_", " "), time.monotonic() - started))
        except Exception as error:  # Each check is on its own: the others go on.
            failed += 1
            print("    FAILED  %s: %s: %s" % (name[6:].replace("_", " "), type(error).__name__, error))
    sys.exit(1 if failed else 0)


{"server": server_fingerprint, "hold": hold, None: main}[sys.argv[4] if len(sys.argv) > 4 else None]()
