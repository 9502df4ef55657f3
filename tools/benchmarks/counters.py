# SPDX-License-Identifier: Apache-2.0
"""What a server's process spends: processor time, and what perf and callgrind count of it.

Other load on the machine does not change these much. Processor time costs nothing to read. perf's
tracepoints do cost time, and callgrind a hundred times that, so what they count is never timed.
"""
import contextlib
import glob
import os
import signal
import subprocess
import time

from .machine import program, run

# perf's name: ours. Virtual machines often do not count instructions, which is callgrind's task then.
EVENTS = {"raw_syscalls:sys_enter": "syscalls",
          "syscalls:sys_enter_io_uring_enter": "io_uring_enters",
          "instructions": "instructions"}


def cpu_ns(pid):
    """Of all its threads, also of those that have ended, in user and kernel mode."""
    return time.clock_gettime_ns(~pid << 3 | 2)  # as clock_getcpuclockid(3) names that clock


def main_thread_ns(pid):
    with open(f"/proc/{pid}/task/{pid}/schedstat") as stat:
        return int(stat.read().split()[0])


class Perf:
    """Counts what a process and threads that it starts do while this context is entered."""

    def __init__(self, pid):
        self.pid = pid
        self.counts = {}
        self.uncounted = {}  # and why

    def __enter__(self):
        told, self.tell = os.pipe()
        self.heard, hears = os.pipe()
        self.process = subprocess.Popen(
            ["perf", "stat", "--field-separator=,", "--delay=-1", f"--control=fd:{told},{hears}",
             f"--event={','.join(EVENTS)}", f"--pid={self.pid}"],
            pass_fds=(told, hears), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        os.close(told)
        os.close(hears)
        self._ask("enable")
        return self

    def __exit__(self, *_):
        self._ask("disable")
        os.close(self.tell)
        os.close(self.heard)
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate()[1]
        fields = [line.split(",") for line in said.splitlines()]
        values = {field[2].split(":u")[0]: field[0] for field in fields if len(field) > 4}
        for event, name in EVENTS.items():
            value = values.get(event, said.strip().partition("\n")[0])
            if value.isdigit():
                self.counts[name] = int(value)
            else:
                self.uncounted[name] = value

    def _ask(self, what):
        """Returns when perf has done so, or is no more."""
        try:
            os.write(self.tell, f"{what}\n".encode())
            os.read(self.heard, 16)
        except BrokenPipeError:
            pass


class Callgrind:
    """Counts the instructions in user mode of a process that `command` begins the command of.

    The processor is one that valgrind simulates: it has AVX2, and neither AVX-512 nor instructions
    for SHA-256.
    """

    def __init__(self, directory):
        self.file = os.path.join(directory, "callgrind")
        self.command = ["env", f"LD_PRELOAD={program('ring_by_poll.so')}",
                        "valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no",
                        "--separate-threads=yes", f"--callgrind-out-file={self.file}"]

    @contextlib.contextmanager
    def counting(self, pid):
        self._switch("on", pid)
        yield
        self._switch("off", pid)

    def counts(self):
        """Of all threads and of the main one, once the process has ended."""
        threads = {}
        for file in glob.glob(f"{self.file}-*"):
            with open(file) as lines:
                threads[file] = sum(int(line.split()[1]) for line in lines
                                    if line.startswith("totals:"))
        return {"user_instructions": sum(threads.values()),
                "main_thread_user_instructions": threads[f"{self.file}-01"]}

    @staticmethod
    def _switch(to, pid):
        run(["callgrind_control", f"--instr={to}", str(pid)])
