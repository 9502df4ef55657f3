# SPDX-License-Identifier: Apache-2.0
"""How clients reach the server that is measured: each server's words for it, and the URI.

A port is one that was free a moment before, since not every server says which one it was given.
"""
import os
import socket


class UnixSocket:
    name = "unix socket"

    def __init__(self, directory):
        self.path = os.path.join(directory, "sock")
        self.ours = f"unix:{self.path}"
        self.qemu_nbd = [f"--socket={self.path}"]
        self.qemu_storage_daemon = f"addr.type=unix,addr.path={self.path}"
        self.nbdkit = [f"--unix={self.path}"]

    def uri(self, export=""):
        return f"nbd+unix:///{export}?socket={self.path}"

    def answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.path) == 0


class TcpLoopback:
    name = "TCP loopback"
    host = "127.0.0.1"

    def __init__(self, _):
        with socket.create_server((self.host, 0)) as probe:
            self.port = probe.getsockname()[1]
        self.ours = f"tcp:{self.host}:{self.port}"
        self.qemu_nbd = [f"--bind={self.host}", f"--port={self.port}"]
        self.qemu_storage_daemon = f"addr.type=inet,addr.host={self.host},addr.port={self.port}"
        self.nbdkit = [f"--ipaddr={self.host}", f"--port={self.port}"]

    def uri(self, export=""):
        return f"nbd://{self.host}:{self.port}/{export}"

    def answers(self):
        with socket.socket(socket.AF_INET) as probe:
            return probe.connect_ex((self.host, self.port)) == 0
