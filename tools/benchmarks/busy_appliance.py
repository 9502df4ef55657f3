# SPDX-License-Identifier: Apache-2.0
"""A daemon whose clients keep it at 70 % of what it can do, and its API.

Clients are fio's nbd engine: 4 KiB, reads and writes in equal numbers at random places of a volume
that is full of data, 32 in flight. What it can do is measured first, with nothing else going on,
as the best of some attempts; then fio goes on at a fixed rate until the end. How much comes through
is what the daemon says of the requests that it has answered.
"""
import contextlib
import os
import re
import subprocess
import tempfile

from .api_client import RemoteApi, ask
from .machine import MIB, remove_tree, wait_for
from .servers import Daemon, fio

MIX = ["--rw=randrw", "--rwmixread=50", "--bs=4k", "--iodepth=32", "--norandommap",
       "--buffer_compress_percentage=50", "--buffer_compress_chunk=4096"]
PEAK_SECONDS = 5
PEAK_ATTEMPTS = 3
SHARE = 0.7
VOLUME = "vol"


class BusyAppliance:
    """Usable as a context, in which there is a volume, an API, and no load yet."""

    def __init__(self, settings):
        self.size = settings.size
        self.directory = tempfile.mkdtemp(dir=settings.work, prefix="busy-")
        self.daemon = Daemon(self.directory)
        self.api = RemoteApi(self.daemon)
        self.load = None
        self.peak = 0  # requests per second

    def __enter__(self):
        try:
            self.api.before_start()
            self.daemon.start()
            self.api.sign_in()
            self._make_volume()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.load is not None:
            self.load.terminate()
            self.load.wait()
        self.daemon.stop()
        remove_tree(self.directory)

    def _make_volume(self):
        backing = os.path.join(self.directory, "backing")
        with open(backing, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, self.size)
        self.daemon.cli("volume", "create", VOLUME, "--size", str(self.size), "--backing", backing)
        self._fio(["--rw=write", "--bs=1m", "--iodepth=4", "--end_fsync=1",
                   "--buffer_compress_percentage=50", "--buffer_compress_chunk=4096"])
        self.daemon.drain()

    def _fio(self, options):
        return fio(self.daemon.uri(VOLUME), os.path.join(self.directory, "fio.json"),
                   [f"--size={self.size}", *options])

    def begin_load(self):
        for _ in range(PEAK_ATTEMPTS):
            job = self._fio([*MIX, "--time_based", f"--runtime={PEAK_SECONDS}"])
            self.peak = max(self.peak, job["read"]["iops"] + job["write"]["iops"])
            self.daemon.drain()
        of_each = int(self.peak * SHARE / 2)
        self.load = subprocess.Popen(
            ["fio", "--name=load", "--ioengine=nbd", f"--uri={self.daemon.uri(VOLUME)}",
             f"--size={self.size}", *MIX, "--refill_buffers", "--randrepeat=0", "--time_based",
             "--runtime=86400", f"--rate_iops={of_each},{of_each}", "--output=/dev/null"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        served = self.requests()
        wait_for(lambda: self.requests() > served + self.peak, 60, "the clients' load")

    def requests(self):
        """That clients of the volume were answered since the daemon's start."""
        return sum(float(count) for count in re.findall(
            r"^hindsight_volume_request_duration_seconds_count\{.*\} (\S+)$", self.metrics(),
            re.MULTILINE))

    def metrics(self):
        with contextlib.closing(self.daemon.connect()) as connection:
            return ask(connection, "GET", "/metrics")[0].decode()

    def load_document(self, requests_per_s):
        return {"volume_bytes": self.size, "peak_requests_per_s": round(self.peak),
                "requests_per_s": round(requests_per_s),
                "share_of_peak": round(requests_per_s / self.peak, 3)}
