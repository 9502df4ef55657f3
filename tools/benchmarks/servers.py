# SPDX-License-Identifier: Apache-2.0
"""The NBD servers that are measured and compared with, and fio against them."""
import json
import os
import signal
import subprocess
import tempfile
import time

from .api_client import LocalConnection
from .machine import MIB, fail, program, remove_tree, run, wait_for


class Daemon:
    """hindsightd on one vault and one state directory below `directory`, and its command line."""

    def __init__(self, directory, socket=None, dirty_budget=None):
        self.directory = directory
        self.vault = os.path.join(directory, "vault")
        self.state = os.path.join(directory, "state")
        self.socket = socket or os.path.join(self.state, "nbd.sock")
        self.control = os.path.join(self.state, "control.sock")
        self.options = [] if dirty_budget is None else ["--dirty-budget", str(dirty_budget)]
        self.process = None

    def spawn(self):
        """Starts it and does not wait."""
        with open(os.path.join(self.directory, "log"), "a") as log:
            self.process = subprocess.Popen(
                [program("hindsightd"), "--vault", self.vault, "--state", self.state,
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
        return cpu_seconds(self.process.pid)


def cpu_seconds(pid):
    """Of all its threads, in user and kernel mode, since its start."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """A server of one preallocated file, from start to stop."""

    def __init__(self, work, size):
        self.work = tempfile.mkdtemp(dir=work, prefix=self.name + "-")
        self.size = size
        self.file = os.path.join(self.work, "disk")
        self.socket = os.path.join(self.work, "sock")
        subprocess.run(["dd", "if=/dev/zero", f"of={self.file}", "bs=1M", f"count={size // MIB}",
                        "oflag=direct", "status=none"], check=True)
        self.process = None

    def launch(self, command):
        with open(os.path.join(self.work, "log"), "w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(self.socket), 30, f"{self.name}'s start")

    def uri(self):
        return f"nbd+unix:///?socket={self.socket}"

    def drain(self):
        """Returns when what was written and flushed is on the backing store: after so many seconds."""
        return 0

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def journal(self):
        """The counters of a journal, since its start."""
        return {"syncs": 0, "client_bytes": 0, "journal_bytes": 0}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        remove_tree(self.work)


class QemuNbd(Server):
    name = "qemu-nbd"

    def start(self):
        self.launch(["qemu-nbd", "--cache=none", "--aio=io_uring", "--format=raw", "--persistent",
                     "--shared=16", f"--socket={self.socket}", self.file])


class QemuStorageDaemon(Server):
    name = "qemu-storage-daemon"

    def start(self):
        self.launch(["qemu-storage-daemon",
                     f"--blockdev=driver=file,node-name=disk,filename={self.file},"
                     "cache.direct=on,aio=io_uring",
                     f"--nbd-server=addr.type=unix,addr.path={self.socket}",
                     "--export=type=nbd,id=disk,node-name=disk,name=,writable=on"])


class NullRecorder(Server):
    """Our own engine, without a journal."""
    name = "null-recorder"

    def start(self):
        self.launch([program("null_server"), f"--backing={self.file}", f"--nbd=unix:{self.socket}",
                     f"--dirty-budget={Hindsight.dirty_budget}"])


class Nbdkit(Server):
    name = "nbdkit-file"

    def start(self):
        self.launch(["nbdkit", "--foreground", f"--unix={self.socket}", "file", self.file])


class Hindsight(Server):
    name = "hindsight"
    dirty_budget = 16 * MIB

    def start(self):
        self.daemon = Daemon(self.work, self.socket, self.dirty_budget)
        self.daemon.start()
        self.process = self.daemon.process
        self.daemon.cli("volume", "create", "vol", "--size", str(self.size), "--backing", self.file)

    def uri(self):
        return self.daemon.uri("vol")

    def status(self):
        return self.daemon.status()

    def drain(self):
        begun = time.monotonic()
        self.daemon.drain(120)
        return time.monotonic() - begun

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
