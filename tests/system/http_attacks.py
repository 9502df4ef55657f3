# SPDX-License-Identifier: Apache-2.0
"""Hostile HTTP peers.

http_attacks.py token PORT CONTROL_SOCKET CERTIFICATES CODE              prints a token of a user who may do everything
http_attacks.py attack PORT CONTROL_SOCKET CERTIFICATES SERVED PID LOG   all of it, against a daemon that serves SERVED.crt
http_attacks.py stay PORT CONTROL_SOCKET CERTIFICATES READY              connections of every kind that stay until the end

HINDSIGHT_TOKEN is the token with which a request gets past the server, so that it matters what is taken for one.
"""
import json
import os
import re
import shutil
import signal
import socket
import ssl
import sys
import threading
import time

TASK, PORT, CONTROL, CERTIFICATES = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
CRLF = "\r\n"
HERE, NEIGHBOUR, SLOW = "127.0.0.1", "127.0.0.2", "127.0.0.3"  # all of this machine
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def context(authority="ours"):
    return ssl.create_default_context(cafile=f"{CERTIFICATES}/{authority}.crt" if authority else None)


OURS = context()


def tcp(source=HERE, timeout=20):
    return socket.create_connection((HERE, PORT), timeout=timeout, source_address=(source, 0))


def tls(source=HERE, settings=OURS, timeout=20):
    return settings.wrap_socket(tcp(source, timeout), server_hostname="localhost")


def unix(timeout=20):
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(timeout)
    peer.connect(CONTROL)
    return peer


TRANSPORTS = {"HTTPS": tls, "the control socket": unix}


def read_all(peer):
    """Until the server closes, or says no more for long. What a reset takes away is not there."""
    reply = b""
    try:
        while chunk := peer.recv(65536):
            reply += chunk
    except (ConnectionError, TimeoutError, ssl.SSLError):
        pass
    return reply


def read_one(peer):
    """One answer, whose connection stays open."""
    reply = b""
    while b"\r\n\r\n" not in reply:
        chunk = peer.recv(65536)
        if not chunk:
            raise ConnectionError(f"closed instead of answering: {reply}")
        reply += chunk
    head, body = reply.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"Content-Length: (\d+)", head)[1])
    while len(body) < length:
        body += peer.recv(65536)
    return head, body


def exchange(open_peer, raw):
    with open_peer() as peer:
        try:
            peer.sendall(raw)
        except (ConnectionError, ssl.SSLError):
            pass  # refused before it was sent; the answer is there
        return read_all(peer)


def is_served(source, timeout=5):
    try:
        with tls(source, timeout=timeout) as peer:
            peer.sendall(HEALTH)
            return read_one(peer)[0].startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def is_open(peer):
    peer.setblocking(False)
    try:
        return peer.recv(1) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def say(what):
    print("   ", what, flush=True)


# --- TLS -------------------------------------------------------------------------------------------------------------


def refused_handshake(what, settings, expected):
    try:
        with tls(settings=settings) as peer:
            peer.sendall(HEALTH)
            sys.exit(f"{what} was served: {peer.recv(100)}")
    except OSError as error:
        assert re.search(expected, str(error), re.IGNORECASE), f"{what}: {error}"


def check_tls():
    old = context()
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    refused_handshake("TLS 1.2", old, "protocol.version")
    refused_handshake("a server of another authority", context("foreign"), "CERTIFICATE_VERIFY_FAILED")
    refused_handshake("a server of no authority", context(None), "CERTIFICATE_VERIFY_FAILED")
    other = context()
    other.set_alpn_protocols(["h2"])
    refused_handshake("HTTP/2 alone", other, "no.application.protocol")
    both = context()
    both.set_alpn_protocols(["h2", "http/1.1"])
    with tls(settings=both) as peer:
        assert (peer.version(), peer.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
        peer.sendall(HEALTH)
        head, _ = read_one(peer)
        assert b"\r\nStrict-Transport-Security: max-age=31536000" in head, head
        assert b"\r\nX-Content-Type-Options: nosniff" in head, head
        assert peer.session is None or not peer.session.has_ticket, "a ticket outlives its connection"
    with unix() as peer:
        peer.sendall(HEALTH)
        head, _ = read_one(peer)
        assert b"Strict-Transport" not in head and b"nosniff" in head, head
    reply = exchange(tcp, HEALTH)
    assert statuses(reply) == [400] and b"this port speaks HTTPS" in reply, reply
    for garbage in (b"\x16\x03\x01\xff\xff" + b"x" * 3000, b"\x16" * 3000, b"\0" * 3000):
        began = time.monotonic()
        reply = exchange(tcp, garbage)
        assert b"200" not in reply and time.monotonic() - began < 5, (garbage[:5], reply)
    say("TLS 1.3 only, of our authority; plain HTTP is told, garbage is cut off")


# --- Requests that are two, or none ----------------------------------------------------------------------------------

JSON = "Content-Type: application/json"
BEARER = "Authorization: Bearer " + os.environ.get("HINDSIGHT_TOKEN", "none")
MARK = '{"label":"smuggled","all":true}'
INNER = CRLF.join(["POST /api/marks HTTP/1.1", "Host: x", JSON, BEARER, f"Content-Length: {len(MARK)}", "", MARK])
POST = ["POST /api/verify HTTP/1.1", "Host: x", JSON, BEARER]
CHUNKED = POST + ["Transfer-Encoding: chunked", ""]
GET = ["GET /healthz HTTP/1.1", "Host: x"]
AMBIGUOUS = {
    # Lengths.
    "a length and chunks": POST + ["Content-Length: 2", "Transfer-Encoding: chunked", "", "0", "", ""],
    "chunks and a length": POST + ["Transfer-Encoding: chunked", "Content-Length: 2", "", "0", "", ""],
    "two lengths": POST + ["Content-Length: 2", "Content-Length: 3", "", "{}"],
    "the same length twice": POST + ["Content-Length: 2", "content-length: 2", "", "{}"],
    "a list of lengths": POST + ["Content-Length: 2, 2", "", "{}"],
    "a length with a sign": POST + ["Content-Length: +2", "", "{}"],
    "a negative length": POST + ["Content-Length: -2", "", "{}"],
    "a length in hex": POST + ["Content-Length: 0x2", "", "{}"],
    "a length with a blank in it": POST + ["Content-Length: 2 2", "", "{}"],
    "no length": POST + ["Content-Length:", "", "{}"],
    "a length beyond 64 bits": POST + ["Content-Length: 18446744073709551618", "", "{}"],
    # Codings.
    "chunked, identity": POST + ["Transfer-Encoding: chunked, identity", "", "2", "{}", "0", "", ""],
    "identity": POST + ["Transfer-Encoding: identity", "", "2", "{}", "0", "", ""],
    "gzip, chunked": POST + ["Transfer-Encoding: gzip, chunked", "", "2", "{}", "0", "", ""],
    "xchunked": POST + ["Transfer-Encoding: xchunked", "", "2", "{}", "0", "", ""],
    "chunked in quotes": POST + ['Transfer-Encoding: "chunked"', "", "2", "{}", "0", "", ""],
    "chunked twice": POST + ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "", "0", "", ""],
    "no coding": POST + ["Transfer-Encoding:", "", "0", "", ""],
    "HTTP/1.0 with chunks": ["POST /api/verify HTTP/1.0", JSON, "Transfer-Encoding: chunked", "", "0", "", ""],
    # Lines.
    "a folded field": POST + ["X: y", " Content-Length: 2", "", "{}"],
    "a folded length": POST + ["Content-Length:", " 2", "", "{}"],
    "a folded coding": POST + ["Transfer-Encoding:", "\tchunked", "", "0", "", ""],
    "a field that begins with a blank": ["GET /healthz HTTP/1.1", " Host: x", "", ""],
    "a blank before the colon": POST + ["Content-Length : 2", "", "{}"],
    "a tab before the colon": POST + ["Transfer-Encoding\t: chunked", "", "0", "", ""],
    "no colon": POST + ["Content-Length 2", "", "{}"],
    "no name": POST + [": 2", "", "{}"],
    "line feeds alone": ["GET /healthz HTTP/1.1\nHost: x\n\n"],
    "one line feed alone": ["GET /healthz HTTP/1.1", "X: y\nHost: x", "", ""],
    "a carriage return alone": ["GET /healthz HTTP/1.1", "X: y\rHost: x", "", ""],
    "two carriage returns": ["GET /healthz HTTP/1.1\r", "Host: x", "", ""],
    "a NUL in a field": GET + ["X: a\0b", "", ""],
    "a NUL in a name": GET + ["X\0: a", "", ""],
    "a DEL in a field": GET + ["X: a\x7fb", "", ""],
    "an empty line first": ["", *GET, "", ""],
    # Chunks.
    "a chunk of -1": CHUNKED + ["-1", "{}", "0", "", ""],
    "a chunk of 0x2": CHUNKED + ["0x2", "{}", "0", "", ""],
    "a chunk of nothing": CHUNKED + ["", "{}", "0", "", ""],
    "a chunk beyond 64 bits": CHUNKED + ["10000000000000002", "{}", "0", "", ""],
    "a chunk longer than it says": CHUNKED + ["2", "{}{}", "0", "", ""],
    "a blank behind a chunk's size": CHUNKED + ["2 ", "{}", "0", "", ""],
    "an extension": CHUNKED + ["2;a=b", "{}", "0", "", ""],
    "an extension with a line feed": CHUNKED + ['2;a="\n"', "{}", "0", "", ""],
    "an extension at the end": CHUNKED + ["2", "{}", "0;a", "", ""],
    "chunks with line feeds alone": CHUNKED + ["2\n{}\n0\n", "", ""],
    "a length behind the chunks": CHUNKED + ["2", "{}", "0", "Content-Length: 2", "", ""],
    "extensions without end": CHUNKED + ["2;" + "a" * 40000],
    # The request line.
    "an absolute target": ["GET http://x/healthz HTTP/1.1", "Host: x", "", ""],
    "an authority as target": ["CONNECT x:443 HTTP/1.1", "Host: x", "", ""],
    "an asterisk": ["OPTIONS * HTTP/1.1", "Host: x", "", ""],
    "a target with a blank": ["GET /healthz /healthz HTTP/1.1", "Host: x", "", ""],
    "two blanks": ["GET  /healthz HTTP/1.1", "Host: x", "", ""],
    "no version": ["GET /healthz", "Host: x", "", ""],
    "HTTP/2.0": ["GET /healthz HTTP/2.0", "Host: x", "", ""],
    "HTTP/1.2": ["GET /healthz HTTP/1.2", "Host: x", "", ""],
    "HTTP/1.10": ["GET /healthz HTTP/1.10", "Host: x", "", ""],
    "http/1.1": ["GET /healthz http/1.1", "Host: x", "", ""],
    "a method with a colon": ["GE:T /healthz HTTP/1.1", "Host: x", "", ""],
    # Fields that are decided by.
    "no Host": ["GET /healthz HTTP/1.1", "", ""],
    "a Host that is two": ["GET /healthz HTTP/1.1", "Host: x, y", "", ""],
    "a Host with a user": ["GET /healthz HTTP/1.1", "Host: x@y", "", ""],
} | {
    f"two of {name}": GET + ([] if name == "Host" else [f"{name}: a"]) + [f"{name.upper()}: a", "", ""]
    for name in ["Host", "Authorization", "Cookie", "X-CSRF-Token", "Origin", "Sec-Fetch-Site", "Content-Type", "Expect"]
}

# What they are: the answers' statuses, of a connection that the last request closes.
LAST = "Connection: close"
CLEAR = {
    "a length": (POST + [LAST, "Content-Length: 2", "", "{}"], [200]),
    "a length with blanks around": (POST + [LAST, "Content-Length: \t2 \t", "", "{}"], [200]),
    "chunks": (POST + [LAST, "Transfer-Encoding: Chunked", "", "1", "{", "01", "}", "0", "", ""], [200]),
    "fields behind the chunks": (POST + [LAST, "Transfer-Encoding: chunked", "", "2", "{}", "0",
                                         "Authorization: a", "Host: y", "", ""], [200]),
    "two in a row": (GET + ["", *GET, LAST, "", ""], [200, 200]),
    "a body, then another": (POST + ["Content-Length: 2", "", "{}" + GET[0], GET[1], LAST, "", ""], [200, 200]),
    "chunks, then another": (CHUNKED + ["2", "{}", "0", "", *GET, LAST, "", ""], [200, 200]),
    "HTTP/1.0": (["GET /healthz HTTP/1.0", "", ""], [200]),
    "HTTP/1.0 that stays, then another": (["GET /healthz HTTP/1.0", "Connection: keep-alive", "", *GET, LAST, "", ""], [200, 200]),
    "HTTP/1.0, of what comes in pieces": (["GET /api/volumes/shop/image?at=now HTTP/1.0", BEARER, "", ""], [505]),
    "a target that is not UTF-8, then another": (["GET /api/%ff HTTP/1.1", "Host: x", "", *GET, LAST, "", ""], [400, 200]),
    "no JSON, then another": (POST + ["Content-Length: 1", "", "{" + GET[0], GET[1], LAST, "", ""], [400, 200]),
}


def check_problems(reply):
    """Whatever is refused is answered with problem details, of the answer's own status."""
    while reply:
        head, _, rest = reply.partition(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        if length is None:
            return  # of pieces, which no refusal is
        body, reply = rest[:int(length[1])], rest[int(length[1]):]
        status = int(head.split(b" ", 2)[1])
        if status >= 400:
            assert b"\r\nContent-Type: application/problem+json" in head, head
            problem = json.loads(body)
            assert problem["status"] == status and problem["title"] and problem["detail"], problem


# A verification begins (202), or one is under way (409): either way it was understood, and done.
def statuses(reply):
    check_problems(reply)
    answered = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", reply)]
    return [200 if status in (202, 409) else status for status in answered]


def marks():
    reply = exchange(unix, b"GET /api/marks HTTP/1.0\r\n\r\n")
    return json.loads(reply.split(b"\r\n\r\n", 1)[1])


def check_requests():
    for name, open_peer in TRANSPORTS.items():
        for what, lines in AMBIGUOUS.items():
            began = time.monotonic()
            reply = exchange(open_peer, (CRLF.join(lines) + INNER).encode("latin-1"))
            answered = statuses(reply)
            assert len(answered) == 1 and 400 <= answered[0] < 500, f"{what} over {name}: {reply[:600]}"
            assert b"\r\nConnection: close\r\n" in reply, f"{what} over {name}: {reply[:600]}"
            assert time.monotonic() - began < 8, f"{what} over {name} took long"
        for what, (lines, expected) in CLEAR.items():
            reply = exchange(open_peer, CRLF.join(lines).encode())
            assert statuses(reply) == expected, f"{what} over {name}: {reply[:1000]}"
        # Byte by byte it is the same request.
        with open_peer() as peer:
            for byte in CRLF.join(CLEAR["chunks"][0]).encode():
                peer.sendall(bytes([byte]))
            assert statuses(read_all(peer)) == [200]
        with open_peer() as peer:
            peer.sendall(CRLF.join(POST + ["Expect: 100-continue", "Content-Length: 2", LAST, "", ""]).encode())
            reply = peer.recv(25, socket.MSG_WAITALL) if open_peer is unix else peer.recv(25)
            assert reply == b"HTTP/1.1 100 Continue\r\n\r\n", reply
            peer.sendall(b"{}")
            assert statuses(read_all(peer)) == [200]
    assert "smuggled" not in json.dumps(marks()), marks()
    say(f"{len(AMBIGUOUS)} requests that may be read in two ways are refused, {len(CLEAR)} clear ones are not")


def check_sizes():
    for name, open_peer in TRANSPORTS.items():
        for what, raw, expected in [
            ("a header of 20 KB", CRLF.join(GET + ["X: " + "x" * 20000, "", ""]).encode(), 431),
            ("a header without end", CRLF.join(GET + ["X: " + "x" * 20000]).encode(), 431),
            ("a header of 15 KB", CRLF.join(GET + [LAST, "X: " + "x" * 15000, "", ""]).encode(), 200),
            ("a body of 1 MiB and a byte", CRLF.join(POST + [f"Content-Length: {(1 << 20) + 1}", "", ""]).encode()
             + b" " * ((1 << 20) + 1), 413),
            ("a body of 4 GiB", CRLF.join(POST + [f"Content-Length: {1 << 32}", "", ""]).encode(), 413),
            ("a chunk of 1 MiB and a byte", CRLF.join(CHUNKED + ["100001", ""]).encode(), 413),
            ("chunks of more than 1 MiB", CRLF.join(CHUNKED).encode() + (b"\r\n10000\r\n" + b" " * 65536) * 17, 413),
            ("a body of 1 MiB", CRLF.join(POST + [LAST, f"Content-Length: {1 << 20}", "", ""]).encode()
             + b"{}" + b" " * ((1 << 20) - 2), 200),
        ]:
            reply = exchange(open_peer, raw)
            assert statuses(reply) == [expected], f"{what} over {name}: {reply[:300]}"
    say("headers beyond 16 KiB and bodies beyond 1 MiB are refused")


# --- Slow peers ------------------------------------------------------------------------------------------------------


class Slow(threading.Thread):
    """A peer that takes its time; `least` to `most` seconds later the server must have closed."""

    def __init__(self, what, open_peer, first, drip, least, most):
        super().__init__(daemon=True)
        self.what, self.open_peer, self.first, self.drip, self.least, self.most = what, open_peer, first, drip, least, most
        self.problem = "it did not end"

    def run(self):
        try:
            self.problem = self.wait_for_close()
        except Exception as error:
            self.problem = repr(error)

    def wait_for_close(self):
        with self.open_peer() as peer:
            if self.first == HEALTH:
                peer.sendall(HEALTH)
                read_one(peer)
            elif self.first:
                peer.sendall(self.first)
            began = time.monotonic()
            peer.settimeout(0.5)
            while time.monotonic() - began < self.most:
                try:
                    if self.drip:
                        peer.sendall(self.drip)
                    reply = peer.recv(4096)
                    if reply:
                        return f"it was answered: {reply}"
                    break
                except TimeoutError:
                    continue
                except OSError:
                    break
            took = time.monotonic() - began
        return None if self.least <= took < self.most else f"the server closed after {took:.1f} s"


def slow_peers():
    body = CRLF.join(POST + ["Content-Length: 1000000", "", ""]).encode()
    peers = []
    for name, of_slow in {"HTTPS": lambda: tls(SLOW), "the control socket": unix}.items():
        peers += [
            Slow(f"nothing over {name}", of_slow, None, None, 9, 14),
            Slow(f"a header byte by byte over {name}", of_slow, None, b"G", 9, 14),
            Slow(f"a second header byte by byte over {name}", of_slow, HEALTH, b"G", 9, 14),
            Slow(f"a body byte by byte over {name}", of_slow, body, b" ", 55, 70),
            Slow(f"nothing after an answer over {name}", of_slow, HEALTH, None, 55, 70),
        ]
    peers.append(Slow("no handshake", lambda: tcp(SLOW), None, None, 9, 14))
    peers.append(Slow("a handshake byte by byte", lambda: tcp(SLOW), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"a", 9, 14))
    for peer in peers:
        peer.start()
    return peers


# --- Crowds ----------------------------------------------------------------------------------------------------------


def crowd(size, source=HERE):
    return [tcp(source) for _ in range(size)]


def check_crowds():
    mute = crowd(2000)
    assert is_served(NEIGHBOUR), "another address is not served beside 2,000 connections"
    assert statuses(exchange(unix, b"GET /healthz HTTP/1.0\r\n\r\n")) == [200], "the control socket is not served"
    left = sum(is_open(peer) for peer in mute)
    assert 0 < left <= 64, f"{left} connections of one address are open"
    assert is_served(HERE), "who has 64 idle connections is not served on another one"
    for peer in mute:
        peer.close()

    # The one that was idle longest goes first.
    idle = []
    for _ in range(64):
        peer = tls()
        peer.sendall(HEALTH)
        read_one(peer)
        idle.append(peer)
    idle[0].sendall(HEALTH)
    read_one(idle[0])
    assert is_served(HERE)
    time.sleep(0.2)
    closed = [i for i, peer in enumerate(idle) if not is_open(peer)]
    assert closed == [1], f"closed to make room: {closed}"
    for peer in idle:
        peer.close()

    # None is idle: the next one is refused, and the log does not say so of each.
    time.sleep(0.2)
    with open(LOG) as log:
        lines_before = sum("no room for a connection" in line for line in log)
    began = time.monotonic()
    busy = [tls() for _ in range(64)]
    for peer in busy:
        peer.sendall(HEALTH[:20])
    time.sleep(0.2)
    tried = 0
    while time.monotonic() - began < 4:
        assert not is_served(HERE), "a 65th connection of one address was served"
        tried += 1
    assert is_served(NEIGHBOUR), "another address is not served beside 64 busy connections"
    with open(LOG) as log:
        lines = sum("no room for a connection" in line for line in log) - lines_before
    assert tried > 10 and 1 <= lines <= 6, f"{lines} lines for {tried} refused connections"
    for peer in busy:
        peer.sendall(HEALTH[20:])
        assert read_one(peer)[0].startswith(b"HTTP/1.1 200"), "a connection was closed in the middle of a request"
        peer.close()
    say("idle crowds make room, and shut out nobody")


def check_full_house():
    """More addresses than there is room for. Ends whoever is idle."""
    all_quiet = [peer for i in range(5) for peer in crowd(64, f"127.0.1.{i + 1}")]
    assert is_served(NEIGHBOUR), "a new client is not served beside idle connections of five others"
    for peer in all_quiet:
        peer.close()


# --- Renewal ---------------------------------------------------------------------------------------------------------


def serial():
    with tls(NEIGHBOUR) as peer:
        return peer.getpeercert()["serialNumber"]


def serve(certificate, key):
    for extension, source in (("crt", certificate), ("key", key)):
        shutil.copy(f"{CERTIFICATES}/{source}", f"{SERVED}.{extension}")


def hang_up(expected):
    with open(LOG) as log:
        log.seek(0, os.SEEK_END)
        os.kill(PID, signal.SIGHUP)
        said = ""
        for _ in range(200):
            said += log.read()
            if re.search(expected, said):
                return
            time.sleep(0.05)
    sys.exit(f"after SIGHUP the log does not say /{expected}/ but: {said}")


def check_renewal():
    first = serial()
    with tls(NEIGHBOUR) as before:
        before.sendall(HEALTH)
        read_one(before)
        serve("second.crt", "second.key")
        assert serial() == first, "taken without being told"
        hang_up("new connections get the certificate")
        second = serial()
        assert second != first, "the renewed certificate is not served"
        before.sendall(HEALTH)
        assert read_one(before)[0].startswith(b"HTTP/1.1 200"), "a connection was lost"
    for certificate, key, why in [
        ("first.crt", "second.key", "is not the key of the certificate"),
        ("second.key", "second.key", "is no certificate in PEM"),
    ]:
        serve(certificate, key)
        hang_up(f"{why}(.|\n)*stays as it was")
        assert serial() == second, f"after a certificate that {why}"
    for extension in ("crt", "key"):
        os.remove(f"{SERVED}.{extension}")
    hang_up("No such file(.|\n)*stays as it was")
    assert serial() == second
    serve("first.crt", "first.key")
    hang_up("new connections get the certificate")
    assert serial() == first
    say("a renewed certificate is taken, a bad one is not")


def new_token(code):
    """Of the first user, who takes all roles."""
    password = "correct horse battery staple"

    def ask(method, target, body, *fields):
        text = json.dumps(body)
        lines = [f"{method} {target} HTTP/1.1", "Host: x", JSON, LAST, f"Content-Length: {len(text)}", *fields, "", text]
        head, answer = exchange(unix, CRLF.join(lines).encode()).decode().split("\r\n\r\n", 1)
        assert head.startswith("HTTP/1.1 20"), head + answer
        return head, json.loads(answer)

    ask("POST", "/api/setup", {"code": code, "name": "adam", "password": password})
    head, session = ask("POST", "/api/session", {"name": "adam", "password": password})
    fields = ["Cookie: " + re.search("Set-Cookie: ([^;]*)", head)[1], "X-CSRF-Token: " + session["csrf_token"]]
    ask("PATCH", "/api/users/adam", {"roles": ["operator", "restorer", "admin"], "sees_data": True}, *fields)
    return ask("POST", "/api/tokens", {"label": "hostile"}, *fields)[1]["token"]


if TASK == "token":
    print(new_token(sys.argv[5]))
elif TASK == "attack":
    SERVED, PID, LOG = sys.argv[5], int(sys.argv[6]), sys.argv[7]
    slow = slow_peers()
    check_tls()
    check_requests()
    check_sizes()
    check_renewal()
    check_crowds()
    for peer in slow:
        peer.join(90)
    wrong = [f"{peer.what}: {peer.problem}" for peer in slow if peer.problem]
    assert not wrong, wrong
    say("slow peers have their time, and no more")
    check_full_house()
else:
    everybody = crowd(1800) + [tls() for _ in range(60)]
    for peer in everybody[-30:]:
        peer.sendall(HEALTH[:20])
    for peer in [unix() for _ in range(100)]:
        peer.sendall(CRLF.join(POST + ["Content-Length: 10", "", "{"]).encode())
        everybody.append(peer)
    open(sys.argv[5], "w").close()
    time.sleep(600)
