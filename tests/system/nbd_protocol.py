# SPDX-License-Identifier: Apache-2.0
"""Checks an NBD server's answers: nbd_protocol.py SOCKET, where `disk` (64 MiB) and `other` are served."""

import errno
import os
import socket
import struct
import sys
import time

import nbd
from nbd_path_tricks import path_tricks

SOCKET = sys.argv[1]
MIB = 1 << 20
SIZE = 64 * MIB


def connect(name="disk", context=True, **options):
    handle = nbd.NBD()
    handle.set_export_name(name)
    if context:
        handle.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    for option, value in options.items():
        getattr(handle, "set_" + option)(value)
    handle.connect_unix(SOCKET)
    return handle


def expect_errno(expected, call, *arguments):
    try:
        call(*arguments)
    except nbd.Error as error:
        assert error.errnum in (expected if isinstance(expected, tuple) else (expected,)), (
            "expected errno %s, got %d (%s)" % (expected, error.errnum, error.string))
        return
    raise AssertionError("expected errno %s, but the call was served" % (expected,))


def lenient():
    """A handle that lets the client make mistakes."""
    handle = connect()
    handle.set_strict_mode(0)
    return handle


def extents(handle, length, offset, flags=0):
    found = []
    handle.block_status(length, offset, lambda context, at, entries, error: found.extend(entries) or 0, flags)
    return list(zip(found[0::2], found[1::2]))


def state_at(handle, offset):
    return extents(handle, 4096, offset, nbd.CMD_FLAG_REQ_ONE)[0][1]


def check_read_write_any_alignment():
    handle = connect()
    payload = os.urandom(10001)
    handle.pwrite(payload, 12345)
    assert handle.pread(10001, 12345) == payload
    assert handle.pread(3, 12346) == payload[1:4]
    handle.pwrite(b"z", SIZE - 1)
    assert handle.pread(1, SIZE - 1) == b"z"
    big = os.urandom(32 * MIB)
    handle.pwrite(big, 16 * MIB)
    assert handle.pread(32 * MIB, 16 * MIB) == big
    handle.shutdown()


def check_fua_and_flush():
    handle = connect()
    assert handle.can_fua() and handle.can_flush()
    handle.pwrite(b"f" * 4096, 4096, nbd.CMD_FLAG_FUA)
    handle.zero(4096, 8192, nbd.CMD_FLAG_FUA)
    handle.trim(4096, 12288, nbd.CMD_FLAG_FUA)
    handle.flush()
    handle.shutdown()


def check_zero_and_trim_read_as_zeroes():
    handle = connect()
    for change in (lambda: handle.zero(MIB, MIB), lambda: handle.zero(MIB, MIB, nbd.CMD_FLAG_NO_HOLE),
                   lambda: handle.zero(MIB - 2, MIB + 1), lambda: handle.trim(MIB, MIB)):
        handle.pwrite(b"\xff" * (3 * MIB), 0)
        change()
        assert handle.pread(MIB - 2, MIB + 1) == bytes(MIB - 2)
        assert handle.pread(16, MIB - 18) == b"\xff" * 16
        assert handle.pread(16, 2 * MIB) == b"\xff" * 16
    try:
        handle.zero(MIB, 0, nbd.CMD_FLAG_FAST_ZERO)
        assert handle.pread(MIB, 0) == bytes(MIB)
    except nbd.Error as error:
        assert error.errnum == errno.ENOTSUP, error.string
    # Ranges of more than 32 MiB carry no payload and are one command.
    handle.zero(SIZE, 0)
    assert handle.pread(MIB, 63 * MIB) == bytes(MIB)
    handle.shutdown()


def check_block_status():
    handle = connect()
    handle.trim(SIZE, 0)
    handle.pwrite(b"d" * 65536, 4 * MIB)
    assert handle.can_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    assert state_at(handle, 4 * MIB) == 0, "written data is not shown as data"
    assert len(extents(handle, SIZE, 0, nbd.CMD_FLAG_REQ_ONE)) == 1
    offset = 0
    while offset < SIZE:
        for length, state in extents(handle, SIZE - offset, offset):
            assert length > 0
            if state & 2:
                step = min(length, MIB, SIZE - offset)
                assert handle.pread(step, offset) == bytes(step), "a zero extent that is not zero at %d" % offset
            offset += length
    # Only the last extent may reach past the request, and not past the device.
    assert sum(length for length, _ in extents(handle, MIB, SIZE - MIB)) == MIB
    handle.shutdown()


def check_df_answers_in_one_chunk():
    handle = connect()
    assert handle.can_df()
    handle.trim(SIZE, 0)
    handle.pwrite(b"x" * 4096, 8192)
    chunks = []
    data = handle.pread_structured(65536, 0, lambda piece, at, status, error: chunks.append((at, len(piece))) or 0,
                                   nbd.CMD_FLAG_DF)
    assert len(chunks) == 1, chunks
    assert data == bytes(8192) + b"x" * 4096 + bytes(65536 - 12288)
    handle.shutdown()


def check_simple_replies():
    handle = connect(context=False, request_structured_replies=False)
    assert not handle.get_structured_replies_negotiated()
    payload = os.urandom(9000)
    handle.pwrite(payload, 777)
    assert handle.pread(9000, 777) == payload
    expect_errno(errno.EINVAL, no_strictness(handle).pread, 4096, SIZE)
    assert handle.pread(9000, 777) == payload
    handle.shutdown()


def no_strictness(handle):
    handle.set_strict_mode(0)
    return handle


def check_mistakes_get_their_errors():
    handle = lenient()
    expect_errno(errno.EINVAL, handle.pread, 4096, SIZE)
    expect_errno(errno.EINVAL, handle.pread, 8192, SIZE - 4096)
    expect_errno(errno.EINVAL, handle.pread, 4096, 1 << 63)
    expect_errno(errno.ENOSPC, handle.pwrite, b"w" * 8192, SIZE - 4096)
    expect_errno((errno.ENOSPC, errno.EINVAL), handle.zero, 8192, SIZE - 4096)
    expect_errno(errno.EINVAL, handle.trim, 8192, SIZE - 4096)
    expect_errno(errno.EINVAL, handle.trim, 4096, (1 << 64) - 4096 - (1 << 63))
    expect_errno(errno.EINVAL, handle.pwrite, b"w", 0, 1 << 14)
    assert handle.pread(16, SIZE - 4096) is not None, "the connection did not outlive the mistakes"
    handle.shutdown()


def check_multi_conn():
    first, second = connect(), connect()
    assert first.can_multi_conn()
    first.pwrite(b"m" * 4096, 0)
    second.flush()
    assert second.pread(4096, 0) == b"m" * 4096
    first.shutdown()
    assert second.pread(4096, 0) == b"m" * 4096
    second.shutdown()


def check_many_connections():
    handles = [connect() for _ in range(64)]
    for number, handle in enumerate(handles):
        handle.pwrite(bytes([number]) * 4096, number * 4096)
    for number, handle in enumerate(handles):
        assert handle.pread(4096, (63 - number) * 4096) == bytes([63 - number]) * 4096
    for handle in handles:
        handle.shutdown()


def check_deep_queue():
    handle = connect()
    payloads = [os.urandom(4096) for _ in range(256)]
    buffers = [nbd.Buffer.from_bytearray(bytearray(payload)) for payload in payloads]
    cookies = [handle.aio_pwrite(buffer, index * 8192) for index, buffer in enumerate(buffers)]
    while cookies:
        handle.poll(-1)
        cookies = [cookie for cookie in cookies if not handle.aio_command_completed(cookie)]
    for index, payload in enumerate(payloads):
        assert handle.pread(4096, index * 8192) == payload
    handle.shutdown()


def check_names():
    handle = nbd.NBD()
    handle.set_opt_mode(True)
    handle.connect_unix(SOCKET)
    names = []
    handle.opt_list(lambda name, description: names.append(name) or 0)
    assert sorted(names) == ["disk", "other"], names
    handle.set_export_name("nowhere")
    expect_errno(errno.ENOENT, handle.opt_info)
    expect_errno(errno.ENOENT, handle.opt_go)
    # The same handshake goes on with a right name.
    handle.set_export_name("other")
    handle.opt_go()
    assert handle.get_size() == 8 * MIB
    handle.shutdown()


def check_contexts():
    handle = nbd.NBD()
    handle.set_opt_mode(True)
    handle.set_export_name("disk")
    handle.connect_unix(SOCKET)
    contexts = []
    handle.opt_list_meta_context(lambda name: contexts.append(name) or 0)
    assert contexts == ["base:allocation"], contexts
    handle.opt_abort()


def negotiate(flags):
    """A bare socket after the greeting, with the client flags sent."""
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(60)
    raw.connect(SOCKET)
    greeting = raw.recv(18, socket.MSG_WAITALL)
    assert greeting[:16] == b"NBDMAGICIHAVEOPT", greeting
    raw.sendall(struct.pack(">I", flags))
    return raw


def closed_by_server(raw):
    try:
        while True:
            if not raw.recv(65536):
                return True
    except ConnectionError:
        return True
    except socket.timeout:
        return False


def check_export_name():
    raw = negotiate(3)
    raw.sendall(b"IHAVEOPT" + struct.pack(">II", 1, 4) + b"disk")
    size, flags = struct.unpack(">QH", raw.recv(10, socket.MSG_WAITALL))
    assert size == SIZE and flags & 1, (size, flags)
    raw.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 42, 0, 512))
    magic, error, cookie = struct.unpack(">IIQ", raw.recv(16, socket.MSG_WAITALL))
    assert (magic, error, cookie) == (0x67446698, 0, 42)
    assert len(raw.recv(512, socket.MSG_WAITALL)) == 512
    raw.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 2, 43, 0, 0))
    assert closed_by_server(raw)
    # An unknown name has no error reply here: the specification lets the server only hang up.
    raw = negotiate(3)
    raw.sendall(b"IHAVEOPT" + struct.pack(">II", 1, 7) + b"nowhere")
    assert closed_by_server(raw)


def check_a_name_is_no_path():
    for name in path_tricks("disk", "other", os.path.dirname(SOCKET)):
        data = struct.pack(">I", len(name)) + name + struct.pack(">H", 0)
        raw = negotiate(3)
        for number in (6, 7):  # INFO, GO
            raw.sendall(b"IHAVEOPT" + struct.pack(">II", number, len(data)) + data)
            magic, to, kind, length = struct.unpack(">QIII", raw.recv(20, socket.MSG_WAITALL))
            assert magic == 0x3E889045565A9 and to == number
            # What has a NUL in it is no name at all.
            assert kind == (1 << 31) + (3 if b"\0" in name else 6), (number, name, hex(kind))
            assert len(raw.recv(length, socket.MSG_WAITALL)) == length
        # The handshake goes on, until this option, which cannot be refused by an answer.
        raw.sendall(b"IHAVEOPT" + struct.pack(">II", 1, len(name)) + name)
        try:
            assert raw.recv(1) == b"", "EXPORT_NAME of %r was answered" % name
        except ConnectionError:
            pass


def check_unknown_option():
    raw = negotiate(3)
    raw.sendall(b"IHAVEOPT" + struct.pack(">II", 77, 3) + b"abc")
    magic, option, reply, length = struct.unpack(">QIII", raw.recv(20, socket.MSG_WAITALL))
    assert magic == 0x3E889045565A9 and option == 77 and reply == (1 << 31) + 1, (option, reply)
    raw.close()


def check_unknown_command_and_bad_magic():
    raw = negotiate(3)
    raw.sendall(b"IHAVEOPT" + struct.pack(">II", 1, 4) + b"disk")
    raw.recv(10, socket.MSG_WAITALL)
    raw.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 99, 7, 0, 0))
    magic, error, cookie = struct.unpack(">IIQ", raw.recv(16, socket.MSG_WAITALL))
    assert (error, cookie) == (errno.EINVAL, 7), (error, cookie)
    # A write beyond the advertised maximum must not make the server allocate on the client's word.
    raw.sendall(struct.pack(">IHHQQI", 0, 0, 0, 8, 0, 0))
    assert closed_by_server(raw), "a request without the magic number did not end the connection"


def check_huge_write_claim():
    raw = negotiate(3)
    raw.sendall(b"IHAVEOPT" + struct.pack(">II", 1, 4) + b"disk")
    raw.recv(10, socket.MSG_WAITALL)
    raw.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 1, 9, 0, 0xFFFFFFFF))
    raw.shutdown(socket.SHUT_WR)
    assert closed_by_server(raw), "a write of 4 GiB did not end the connection"


def check_garbage_and_half_handshakes():
    for _ in range(20):
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(SOCKET)
        try:
            raw.sendall(os.urandom(100000))
        except ConnectionError:
            pass
        raw.close()
    raw = negotiate(3)
    raw.sendall(b"IHAVEOPT" + struct.pack(">II", 7, 0xFFFFFFFF))
    raw.close()


def check_cut_in_the_middle_of_a_write():
    for cut in (1, 27, 28, 1000, 65536):
        raw = negotiate(3)
        raw.sendall(b"IHAVEOPT" + struct.pack(">II", 1, 5) + b"other")
        raw.recv(10, socket.MSG_WAITALL)
        request = struct.pack(">IHHQQI", 0x25609513, 0, 1, 1, 0, 65536) + b"c" * 65536
        raw.sendall(request[:cut])
        raw.close()
    handle = connect("other")
    handle.pread(65536, 0)
    handle.shutdown()


def check_handshake_deadline():
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(60)
    raw.connect(SOCKET)
    assert closed_by_server(raw), "a silent client was still connected after 60 s"


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


main()
