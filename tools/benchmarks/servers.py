# SPDX-License-Identifier: Apache-2.0
"""The NBD servers that are measured and compared with, and fio against them."""
import json
import os
import select
import signal
import subprocess
import tempfile
import time

from .api_client import LocalConnection
from .counters import cpu_ns
from .loop_device import LoopDevice
from .machine import MIB, fail, program, remove_tree, run, wait_for
from .transport import UnixSocket

STOP_SECONDS = 120


class Daemon:
    """hindsightd on one vault and one state directory, below `directory` where no other vault is
    named, and its command line."""

    def __init__(self, directory, vault=None, options=(), under=()):
        self.directory = directory
        self.vault = vault or os.path.join(directory, "vault")
        self.state = os.path.join(directory, "state")
        self.socket = os.path.join(self.state, "nbd.sock")
        self.control = os.path.join(self.state, "control.sock")
        self.options = list(options)
        self.under = under
        self.process = None

    def spawn(self):
        """Starts it and does not wait."""
        with open(os.path.join(self.directory, "log"), "a") as log:
            self.process = subprocess.Popen(
                [*self.under, program("hindsightd"), "--vault", self.vault, "--state", self.state,
                 "--nbd", f"unix:{self.socket}", *self.options],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start(self):
        self.spawn()
        wait_for(self.answers, 120, f"hindsightd's start in {self.directory}")
        return self

    def answers(self):
        if self.process.poll() is not None:
            fail(f"hindsightd ended: see {self.directory}/log")
        # 3: it runs, and has an alert to tell.
        return subprocess.run(self.command("status"), capture_output=True).returncode in (0, 3)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def command(self, *words):
        return [program("hindsight"), "--server", f"unix:{self.control}", *words]

    def connect(self):
        """A connection to the API at the control socket, for api_client.ask."""
        return LocalConnection(self.control)

    def cli(self, *words):
        return run(self.command(*words))

    def document(self, *words):
        return json.loads(self.cli("--json", *words))

    def status(self):
        return self.document("status")

    def volume(self, name):
        """Unlike status, this makes the journal write nothing."""
        return self.document("volume", "show", name)

    def newest_lsn(self, name):
        return self.document("points", name)["last"]["lsn"]

    def drain(self, seconds=300):
        """Returns when what was written is on the backing stores."""
        wait_for(lambda: all(v["dirty_bytes"] == 0 for v in self.status()["volumes"]), seconds,
                 "the checkpoint")

    def uri(self, export):
        return f"nbd+unix:///{export}?socket={self.socket}"

    def resident_peak(self):
        return self._memory("VmHWM:")

    def resident(self):
        return self._memory("VmRSS:")

    def _memory(self, field):
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith(field):
                    return int(line.split()[1]) * 1024
        return 0

    def cpu_seconds(self):
        return cpu_ns(self.process.pid) / 1e9


class Server:
    """A server of one file, preallocated unless it is sparse, from start to stop.

    Where written bytes are counted, the file is behind a loop device. `under` begins its command.
    """

    def __init__(self, settings, size=None, transport=UnixSocket, counts_written=False,
                 sparse=False, under=()):
        self.work = tempfile.mkdtemp(dir=settings.work, prefix=self.name + "-")
        self.size = size or settings.size
        self.file = os.path.join(self.work, "disk")
        self.at = transport(self.work)
        if sparse:
            with open(self.file, "wb") as backing:
                backing.truncate(self.size)
        else:
            subprocess.run(["dd", "if=/dev/zero", f"of={self.file}", "bs=1M",
                            f"count={self.size // MIB}", "oflag=direct", "status=none"], check=True)
        self.loop = LoopDevice(self.file) if counts_written else None
        self.disk = self.loop.path if counts_written else self.file
        self.under = under
        self.process = None

    def launch(self, command):
        with open(os.path.join(self.work, "log"), "w") as log:
            self.process = subprocess.Popen([*self.under, *command], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        wait_for(self.at.answers, 30, f"{self.name}'s start")

    def uri(self):
        return self.at.uri()

    def drain(self):
        """Returns when what was written and flushed is on the backing store."""

    def journal(self):
        """The counters of a journal, since its start."""
        return {"syncs": 0, "client_bytes": 0, "journal_bytes": 0}

    def end(self):
        """Ends it; gives the seconds until all that was written is on its disks, and it is gone."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        with os.fdopen(os.pidfd_open(self.process.pid)) as ended:
            if not select.select([ended], [], [], STOP_SECONDS)[0]:
                fail(f"{self.name} did not end within {STOP_SECONDS} s")
        seconds = time.monotonic() - begun
        self.process.wait()
        return seconds

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.end()
        if self.loop is not None:
            self.loop.close()
        remove_tree(self.work)


class QemuNbd(Server):
    name = "qemu-nbd"

    def start(self):
        self.launch(["qemu-nbd", "--cache=none", "--aio=io_uring", "--discard=unmap",
                     "--format=raw", "--persistent", "--shared=16", *self.at.qemu_nbd, self.disk])


class QemuStorageDaemon(Server):
    name = "qemu-storage-daemon"

    def start(self):
        driver = "file" if self.loop is None else "host_device"
        self.launch(["qemu-storage-daemon",
                     f"--blockdev=driver={driver},node-name=disk,filename={self.disk},"
                     "cache.direct=on,aio=io_uring,discard=unmap",
                     f"--nbd-server={self.at.qemu_storage_daemon}",
                     "--export=type=nbd,id=disk,node-name=disk,name=,writable=on"])


class NullRecorder(Server):
    """Our own engine, without a journal."""
    name = "null-recorder"

    def start(self):
        self.launch([program("null_server"), f"--backing={self.disk}", f"--nbd={self.at.ours}",
                     f"--dirty-budget={Hindsight.dirty_budget}"])


class Nbdkit(Server):
    name = "nbdkit-file"

    def start(self):
        self.launch(["nbdkit", "--foreground", *self.at.nbdkit, "file", self.disk])


class Hindsight(Server):
    """Its vault is on a disk of its own where the run has one. Its budget of dirty memory is half
    of what is shipped, for the sake of short slots."""
    name = "hindsight"
    dirty_budget = 64 * MIB

    def __init__(self, settings, *arguments, **options):
        super().__init__(settings, *arguments, **options)
        self.daemon = Daemon(self.work, tempfile.mkdtemp(dir=settings.vault_work, prefix="vault-"),
                             under=self.under)

    def start(self):
        self.daemon.options += ["--nbd", self.at.ours, "--dirty-budget", str(self.dirty_budget)]
        self.daemon.start()
        self.process = self.daemon.process
        self.daemon.cli("volume", "create", "vol", "--size", str(self.size), "--backing", self.disk)

    def stop(self):
        self.daemon.stop()
        super().stop()
        remove_tree(self.daemon.vault)

    def uri(self):
        return self.at.uri("vol")

    def status(self):
        return self.daemon.status()

    def drain(self):
        self.daemon.drain(120)

    def journal(self):
        return self.status()["journal"]

    def resident_peak(self):
        return self.daemon.resident_peak()


def fio(uri, output, options):
    """Runs fio's nbd engine; gives its job's document. `output` is a file that it may write."""
    subprocess.run(["fio", "--name=slot", "--ioengine=nbd", f"--uri={uri}", "--refill_buffers",
                    "--randrepeat=0", "--output-format=json", f"--output={output}", *options],
                   check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    with open(output) as text:
        job = json.load(text)["jobs"][0]
    if job["error"] != 0:
        fail(f"fio failed against {uri} with error {job['error']}")
    return job
