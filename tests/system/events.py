# SPDX-License-Identifier: Apache-2.0
"""Listens to server-sent events: events.py CONTROL_SOCKET [PORT CODE]; without a port, until the daemon ends them."""
import http.client
import json
import socket
import sys
import threading
import time

SOCKET = sys.argv[1]
PASSWORD = "correct horse battery staple"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("localhost")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(SOCKET)


def network():
    return http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]), timeout=20)


def ask(method, target, body=None, at=UnixConnection, **headers):
    connection = at()
    data = None if body is None else json.dumps(body)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, target, body=data, headers={**fields, "Content-Type": "application/json"} if data else fields)
    response = connection.getresponse()
    raw = response.read()
    assert response.status < 300, f"{method} {target}: {response.status} {raw}"
    return json.loads(raw), response


class Stream:
    def __init__(self, at=UnixConnection, status=200, **headers):
        self.connection = at()
        self.connection.request("GET", "/api/events", headers={name.replace("_", "-"): value for name, value in headers.items()})
        self.response = self.connection.getresponse()
        assert self.response.status == status, f"{self.response.status} {self.response.read(500)}"

    def next(self):
        """(event, document); None at the end. What is no event is passed over."""
        event, data = None, None
        while True:
            line = self.response.readline().decode()
            if not line:
                return None
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                data = value
            elif not line.strip() and data is not None:
                return event, json.loads(data)

    def until(self, wanted, what):
        began = time.monotonic()
        while time.monotonic() - began < 15:
            event = self.next()
            assert event is not None, f"the stream ended before {what}"
            if wanted(*event):
                return event[1]
        sys.exit(f"{what} was not told in 15 s")

    def beginning(self):
        """The names of the volumes that a new stream tells before its first status."""
        names = []
        while True:
            event, document = self.next()
            if event == "status":
                assert "volumes" not in document, document
                return names
            assert event == "volume", f"{event} came before the status: {document}"
            names.append(document["name"])

    def to_the_end(self):
        while self.next() is not None:
            pass

    def close(self):
        self.connection.close()


if len(sys.argv) == 2:
    Stream().to_the_end()
    sys.exit()

print("- what changes is told, to everybody")
one, other = Stream(), Stream()
for stream in one, other:
    names = stream.beginning()
    assert names == ["shop"], names
ask("POST", "/api/volumes", {"name": "new", "size_bytes": 1 << 20})
for stream in one, other:
    stream.until(lambda event, document: event == "volume" and document["name"] == "new", "the new volume")
job, _ = ask("POST", "/api/verify", {"deep": True})
for stream in one, other:
    told = stream.until(lambda event, document: event == "job" and document["id"] == job["id"] and document["state"] == "done", "the end of the job")
    assert told["verification"]["ok"], told
other.close()

print("- a volume is told when it has changed, and the others are not")
told = []
ask("PATCH", "/api/volumes/new", {"name": "renamed"})
one.until(lambda event, document: event == "volume" and (told.append(document["name"]) or document["name"] == "renamed"), "the new name")
ask("DELETE", "/api/volumes/renamed")
gone = one.until(lambda event, document: event == "volume" and (told.append(document["name"]) or "removed" in document), "the volume that has gone")
assert gone["name"] == "renamed" and "state" not in gone, gone
assert set(told) == {"renamed"}, told
late = Stream()
assert "shop" in late.beginning(), "who comes later is not told of all volumes"
late.close()
ask("POST", "/api/volumes", {"name": "another", "size_bytes": 1 << 20})

print("- who reads slowly gets the newest, not all that was")
slow = Stream()
slow.next()
for i in range(6):
    ask("POST", "/api/marks", {"label": f"m{i}", "all": True})
    last, _ = ask("GET", "/api/status")
    time.sleep(1.1)
# Whatever the slow one has not taken lies in the kernel: as many as there were seconds, and never one twice.
seen = [slow.until(lambda event, document: event == "status", "a status")]
while seen[-1]["history"]["newest"]["lsn"] < last["history"]["newest"]["lsn"]:
    seen.append(slow.until(lambda event, document: event == "status", "the newest status"))
for earlier, later in zip(seen, seen[1:]):
    assert earlier != later and earlier["history"]["newest"]["lsn"] <= later["history"]["newest"]["lsn"], (earlier, later)
slow.close()

print("- who opens many loses his oldest, and what he sees is what there is now")
before = Stream()
many = [Stream() for _ in range(8)]
before.to_the_end()
for stream in many[1:]:
    stream.close()
ask("POST", "/api/volumes", {"name": "newer", "size_bytes": 1 << 20})
many[0].until(lambda event, document: event == "volume" and document["name"] == "newer", "the newer volume")
many[0].close()
# Longer than it takes to notice that nobody listens, so that the next one finds nothing that was left.
time.sleep(1)
for label in "noticed", "noticed again":
    ask("POST", "/api/marks", {"label": label, "all": True})
    time.sleep(2)
ask("DELETE", "/api/volumes/newer")
job, _ = ask("POST", "/api/verify", {})
while ask("GET", f"/api/jobs/{job['id']}")[0]["state"] == "running":
    time.sleep(0.1)
fresh = Stream()
names = fresh.beginning()
assert sorted(names) == ["another", "shop"], f"what the stream begins with is old: {names}"
ask("POST", "/api/marks", {"label": "news", "all": True})
event, document = fresh.next()
assert event == "status", f"a job that had ended is told: {document}"
fresh.close()

print("- a stream ends with what it was opened with")
Stream(at=network, status=401)
ask("POST", "/api/setup", {"code": sys.argv[3], "name": "adam", "password": PASSWORD}, at=network)
session, answer = ask("POST", "/api/session", {"name": "adam", "password": PASSWORD}, at=network)
cookie = answer.headers["Set-Cookie"].split(";")[0]
signed_in = {"Cookie": cookie, "X_CSRF_Token": session["csrf_token"]}
token, _ = ask("POST", "/api/tokens", {"label": "a page"}, at=network, **signed_in)
bearer = {"Authorization": "Bearer " + token["token"]}
streams = [Stream(at=network, **signed_in) for _ in range(80)]
ask("GET", "/api/status", at=network, **signed_in)  # who holds streams open shuts nobody out
for stream in streams:
    stream.close()
by_session, by_token = Stream(at=network, **signed_in), Stream(at=network, **bearer)
for stream in by_session, by_token:
    stream.until(lambda event, document: event == "status", "the status over the network")
ended = []
for name, stream in ("token", by_token), ("session", by_session):
    threading.Thread(target=lambda n=name, s=stream: (s.to_the_end(), ended.append(n)), daemon=True).start()
ask("DELETE", f"/api/tokens/{token['id']}", at=network, **signed_in)
ask("POST", "/api/marks", {"label": "one", "all": True})
began = time.monotonic()
while ended != ["token"]:
    assert time.monotonic() - began < 20, "a token was revoked, and its stream goes on"
    time.sleep(0.05)
ask("DELETE", "/api/session", at=network, **signed_in)
ask("POST", "/api/marks", {"label": "two", "all": True})
while ended != ["token", "session"]:
    assert time.monotonic() - began < 40, "a session was ended, and its stream goes on"
    time.sleep(0.05)
