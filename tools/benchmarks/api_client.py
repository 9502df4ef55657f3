# SPDX-License-Identifier: Apache-2.0
"""The API as its clients have it: over HTTPS with a token, as pages and programs elsewhere, on
connections that stay open."""
import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import threading
import time

from .machine import program, run

PASSWORD = "a password for measuring"
# Of each, in this order; the first is what changes most.
POLLED = ["/api/status", "/api/volumes", "/api/volumes/{volume}/timeline"]
POLL_SECONDS = 1
# Streams of events that one user may have, as the daemon has it.
STREAMS_OF_A_USER = 8


class LocalConnection(http.client.HTTPConnection):
    """At the control socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(connection, method, target, body=None, headers=()):
    """The answer's bytes, and its headers."""
    fields = dict(headers)
    if body is not None:
        body = json.dumps(body)
        fields["Content-Type"] = "application/json"
    connection.request(method, target, body=body, headers=fields)
    response = connection.getresponse()
    answer = response.read()
    if response.status >= 400:
        raise RuntimeError(f"{method} {target}: {response.status} {answer[:500].decode()}")
    return answer, response.headers


class RemoteApi:
    """HTTPS of a daemon that has no user yet, with tokens of an administrator and of viewers.

    `before_start` gives the daemon its certificate and the option; `sign_in` comes when it runs.
    """
    viewers_count = 3

    def __init__(self, daemon):
        self.daemon = daemon
        self.headers = {}  # the administrator's
        self.viewers = []  # each one's

    def before_start(self):
        tls = os.path.join(self.daemon.state, "tls")
        os.makedirs(self.daemon.state, exist_ok=True)
        run([program("hindsight"), "tls", "init", "--directory", tls])
        self.daemon.options += ["--http", "127.0.0.1:0"]
        self.context = ssl.create_default_context(cafile=os.path.join(tls, "ca.crt"))

    def sign_in(self):
        with open(os.path.join(self.daemon.directory, "log")) as log:
            said = log.read()
        self.port = int(re.findall(r"HTTPS? on 127\.0\.0\.1:(\d+)", said)[-1])
        code = re.findall(r"with the code ([2-9A-Z-]+)", said)[-1]
        with contextlib.closing(self.connect()) as at:
            ask(at, "POST", "/api/setup", {"code": code, "name": "admin", "password": PASSWORD})
            self.headers = self._headers_of(at, "admin")
            for i in range(self.viewers_count):
                name = f"viewer-{i}"
                ask(at, "POST", "/api/users", {"name": name, "password": PASSWORD,
                                               "roles": ["viewer"]}, self.headers)
                self.viewers.append(self._headers_of(at, name))

    @staticmethod
    def _headers_of(connection, name):
        answer, headers = ask(connection, "POST", "/api/session",
                              {"name": name, "password": PASSWORD})
        session = {"Cookie": headers["Set-Cookie"].split(";")[0],
                   "X-CSRF-Token": json.loads(answer)["csrf_token"]}
        answer, _ = ask(connection, "POST", "/api/tokens", {"label": "measuring"}, session)
        return {"Authorization": "Bearer " + json.loads(answer)["token"]}

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context,
                                           timeout=60)

    def get(self, connection, target):
        return ask(connection, "GET", target, headers=self.headers)[0]


class Crowd:
    """Threads that each have a connection of their own; usable as a context.

    Each is one of the API's viewers. Once it is entered, all of them are connected and answered;
    `done` counts what they had of the daemon since.
    """

    def __init__(self, api, size):
        self.api, self.size = api, size
        self.done = 0
        self.failures = []
        self.leaving = threading.Event()
        self.connected = threading.Barrier(size + 1, timeout=60)

    def __enter__(self):
        self.threads = [threading.Thread(target=self._run, args=[i]) for i in range(self.size)]
        for thread in self.threads:
            thread.start()
        try:
            self.connected.wait()
        except threading.BrokenBarrierError:
            self._leave()
            raise self.failures[0] if self.failures else None
        self.done = 0
        return self

    def __exit__(self, *_):
        self._leave()
        if self.failures:
            raise self.failures[0]

    def _leave(self):
        self.leaving.set()
        for thread in self.threads:
            thread.join()

    def _run(self, number):
        try:
            with contextlib.closing(self.api.connect()) as connection:
                viewer = self.api.viewers[number // STREAMS_OF_A_USER]
                self.live(number, connection, viewer)
        except Exception as error:  # told by the main thread
            self.failures.append(error)
            self.connected.abort()


class Dashboards(Crowd):
    """Each asks for what a page shows, every second, and not all in the same moment."""

    def __init__(self, api, size, volume):
        super().__init__(api, size)
        self.targets = [target.format(volume=volume) for target in POLLED]

    def live(self, number, connection, viewer):
        self._poll(connection, viewer)
        self.connected.wait()
        due = time.monotonic() + POLL_SECONDS * number / self.size
        while not self.leaving.wait(max(0, due - time.monotonic())):
            self._poll(connection, viewer)
            due += POLL_SECONDS

    def _poll(self, connection, viewer):
        for target in self.targets:
            ask(connection, "GET", target, headers=viewer)
            self.done += 1


class Listeners(Crowd):
    """Each reads the stream of events."""

    def live(self, number, connection, viewer):
        connection.request("GET", "/api/events", headers=viewer)
        response = connection.getresponse()
        assert response.status == 200, f"GET /api/events: {response.status}"
        response.readline()
        self.connected.wait()
        # An event comes each second while clients write.
        while not self.leaving.is_set():
            line = response.readline()
            if not line:
                raise RuntimeError("the daemon ended a stream of events")
            self.done += line.startswith(b"event:")
