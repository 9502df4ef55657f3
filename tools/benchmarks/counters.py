# SPDX-License-Identifier: Apache-2.0
"""What a server's process spends. Other load on the machine does not change it much."""
import time


def cpu_ns(pid):
    """Of all its threads, also of those that have ended, in user and kernel mode."""
    return time.clock_gettime_ns(~pid << 3 | 2)  # as clock_getcpuclockid(3) names that clock


def main_thread_ns(pid):
    with open(f"/proc/{pid}/task/{pid}/schedstat") as stat:
        return int(stat.read().split()[0])
