# SPDX-License-Identifier: Apache-2.0
"""What several figures are taken on, made when the first of them asks and removed with the run."""
import json
import os

from .machine import program, run
from .servers import Daemon, fio


class History:
    """The vault of a volume that was written to in each of so many seconds, or in one second of
    `every`; see make_history."""

    def __init__(self, directory, seconds, every=1):
        self.directory = directory
        self.seconds = seconds
        os.makedirs(directory)
        made = json.loads(run([program("make_history"), "--seconds", str(seconds),
                               "--every", str(every),
                               "--vault", os.path.join(directory, "vault"),
                               "--state", os.path.join(directory, "state")]))
        self.first_s = made["first_s"]
        self.last_s = made["last_s"]
        self.lsn = made["lsn"]
        self.journal_bytes = made["journal_bytes"]


class FilledVolume:
    """A daemon with a volume that is full of data, and a plain file of the same bytes.

    Written once, in random order, a few blocks at a time, as a disk that has been in use was; half
    of each block compresses away.
    """
    name = "vol"

    def __init__(self, directory, size):
        os.makedirs(directory)
        self.size = size
        self.plain = os.path.join(directory, "plain.raw")
        backing = os.path.join(directory, "backing")
        with open(backing, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        self.daemon = Daemon(directory).start()
        try:
            self.daemon.cli("volume", "create", self.name, "--size", str(size), "--backing",
                            backing)
            fio(self.daemon.uri(self.name), os.path.join(directory, "fio.json"),
                ["--rw=randwrite", "--bs=64k", "--iodepth=16", f"--size={size}", "--end_fsync=1",
                 "--buffer_compress_percentage=50", "--buffer_compress_chunk=4096"])
            self.daemon.drain()
            run(["nbdcopy", "--flush", self.daemon.uri(self.name), self.plain])
        except BaseException:
            self.daemon.stop()
            raise
        self.lsn = self.daemon.newest_lsn(self.name)
        self.view_uri = self.daemon.uri(f"{self.name}@lsn:{self.lsn}")


class Fixtures:
    def __init__(self, work, size):
        self.work = work
        self.size = size
        self._histories = {}
        self._filled = None

    def history(self, seconds):
        if seconds not in self._histories:
            self._histories[seconds] = History(os.path.join(self.work, f"history-{seconds}"),
                                               seconds)
        return self._histories[seconds]

    def filled_volume(self):
        if self._filled is None:
            self._filled = FilledVolume(os.path.join(self.work, "filled"), self.size)
        return self._filled

    def close(self):
        if self._filled is not None:
            self._filled.daemon.stop()
