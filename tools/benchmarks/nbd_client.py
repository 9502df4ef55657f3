# SPDX-License-Identifier: Apache-2.0
"""A small NBD client, one request at a time: for opening exports and for reading a few blocks."""
import socket
import struct

INIT_MAGIC = 0x4E42444D41474943
OPTION_MAGIC = 0x49484156454F5054
OPTION_REPLY_MAGIC = 0x3E889045565A9
REQUEST_MAGIC = 0x25609513
REPLY_MAGIC = 0x67446698
FLAGS_FIXED_NO_ZEROES = 3
OPTION_GO = 7
REPLY_ACK = 1
REPLY_INFO = 3
INFO_EXPORT = 0
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3


class NbdRefused(Exception):
    pass


class NbdClient:
    """Negotiates one export of the server at a unix socket; usable as a context."""

    def __init__(self, path, export):
        self.stream = socket.socket(socket.AF_UNIX)
        self.size = 0
        try:
            self.stream.connect(path)
            self._negotiate(export.encode())
        except BaseException:
            self.stream.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self._request(DISCONNECT, 0, 0)
        except OSError:
            pass
        self.stream.close()

    def read(self, offset, length):
        self._request(READ, offset, length)
        self._reply()
        return self._receive(length)

    def write(self, offset, data):
        self._request(WRITE, offset, len(data), data)
        self._reply()

    def flush(self):
        self._request(FLUSH, 0, 0)
        self._reply()

    def _receive(self, length):
        data = bytearray(length)
        view = memoryview(data)
        while view:
            got = self.stream.recv_into(view)
            if got == 0:
                raise ConnectionResetError("the NBD server ended the connection")
            view = view[got:]
        return bytes(data)

    def _negotiate(self, export):
        magic, option_magic, _ = struct.unpack(">QQH", self._receive(18))
        assert (magic, option_magic) == (INIT_MAGIC, OPTION_MAGIC), "no fixed newstyle server"
        data = struct.pack(">I", len(export)) + export + struct.pack(">H", 0)
        self.stream.sendall(struct.pack(">I", FLAGS_FIXED_NO_ZEROES)
                            + struct.pack(">QII", OPTION_MAGIC, OPTION_GO, len(data)) + data)
        while True:
            reply_magic, _, kind, length = struct.unpack(">QIII", self._receive(20))
            assert reply_magic == OPTION_REPLY_MAGIC
            data = self._receive(length)
            if kind == REPLY_ACK:
                return
            if kind != REPLY_INFO:
                raise NbdRefused(f"{export.decode()}: {data.decode(errors='replace')}")
            if struct.unpack(">H", data[:2])[0] == INFO_EXPORT:
                self.size = struct.unpack(">Q", data[2:10])[0]

    def _request(self, command, offset, length, data=b""):
        self.stream.sendall(struct.pack(">IHHQQI", REQUEST_MAGIC, 0, command, 0, offset, length)
                            + data)

    def _reply(self):
        magic, error, _ = struct.unpack(">IIQ", self._receive(16))
        assert magic == REPLY_MAGIC
        if error != 0:
            raise OSError(error, "the NBD server answered with an error")
