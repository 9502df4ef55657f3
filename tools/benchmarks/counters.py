# SPDX-License-Identifier: Apache-2.0
"""What a server's process spends: processor time, and what perf counts of it.

Other load on the machine does not change these much. Processor time costs nothing to read. perf's
tracepoints do cost time, so what it counts is never timed.
"""
import os
import signal
import subprocess
import time

# perf's name: ours. Virtual machines often do not count instructions.
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
