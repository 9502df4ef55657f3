# SPDX-License-Identifier: Apache-2.0
"""Clients that stay within their negotiation, wherever there is something to wait for: nbd_within_negotiation.py SOCKET,
where NBD is with or without TLS. It says so when they are all there, and ends well when the server has ended each."""

import socket
import ssl
import struct
import sys

EACH = 10


def receive(raw, count):
    data = b""
    while len(data) < count:
        more = raw.recv(count - len(data))
        assert more, "the server ended the connection"
        data += more
    return data


def half_a_client_hello():
    sent = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = sent.read()
    return hello[: len(hello) // 2]


def client(words):
    """Connected, and the words said; (what to send, how much comes back) each."""
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(60)
    raw.connect(sys.argv[1])
    receive(raw, 18)
    for said, answered in words:
        raw.sendall(said)
        receive(raw, answered)
    return raw


FLAGS = (struct.pack(">I", 3), 0)
LIST_OF_SOMETHING = b"IHAVEOPT" + struct.pack(">II", 3, 1000)
STARTTLS = (b"IHAVEOPT" + struct.pack(">II", 5, 0), 20)
PLACES = {
    "after the greeting": [],
    "within their flags": [(FLAGS[0][:2], 0)],
    "before an option": [FLAGS],
    "within an option's header": [FLAGS, (LIST_OF_SOMETHING[:9], 0)],
    "within an option": [FLAGS, (LIST_OF_SOMETHING + b"x" * 500, 0)],
    "after the acknowledgement of STARTTLS": [FLAGS, STARTTLS],
    "within their ClientHello": [FLAGS, STARTTLS, (half_a_client_hello(), 0)],
}

clients = [(place, client(words)) for place, words in PLACES.items() for _ in range(EACH)]
print("there", flush=True)
for place, raw in clients:
    try:
        assert raw.recv(1) == b"", "a client %s was told something" % place
    except ConnectionError:
        pass
