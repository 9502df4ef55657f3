# SPDX-License-Identifier: Apache-2.0
"""The settings of a run, and small things about processes, files and samples."""
import dataclasses
import math
import os
import shutil
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARIES = os.path.join(ROOT, "build/release/bin")
MIB = 1 << 20
GIB = 1 << 30


@dataclasses.dataclass
class Settings:
    work: str  # a directory on a real disk, removed at the end
    vault_work: str  # where vaults of comparisons lie: the same one, or one on another disk
    rounds: int  # counted pairs of a comparison
    size: int  # bytes of the volumes of comparisons
    seconds: int  # active seconds of the long history
    fixtures: object = None  # what several subjects share: fixtures.Fixtures

    @property
    def disks(self):
        """Of a volume and its vault."""
        return 1 if self.vault_work == self.work else 2


def fail(sentence):
    print(f"bench: {sentence}", file=sys.stderr)
    sys.exit(1)


def program(name):
    return os.path.join(BINARIES, name)


def run(command, **options):
    """Runs a command to its end; what it said is in the error where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: "
                           f"{done.stderr.strip()[-2000:]}")
    return done.stdout


def timed(command):
    """Seconds from a command's start to its end."""
    begun = time.monotonic()
    run(command)
    return time.monotonic() - begun


def wait_for(condition, seconds, what, step=0.02):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            fail(f"{what} did not happen within {seconds} s")
        time.sleep(step)


def remove_tree(path):
    """Segments are immutable files."""
    subprocess.run(["chattr", "-R", "-i", path], stderr=subprocess.DEVNULL)
    shutil.rmtree(path)


def forget_cached(path):
    """Drops a file's pages from the page cache; the journal is read past it, so that its peers
    must not be served from memory."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def percentile(samples, percent):
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median_ratio(numerators, denominators):
    return statistics.median(a / b for a, b in zip(numerators, denominators))


def fitted_exponent(points):
    """The b of y = a * x**b, by least squares over the logarithms of (x, y)."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x = statistics.mean(x for x, _ in logs)
    mean_y = statistics.mean(y for _, y in logs)
    return (sum((x - mean_x) * (y - mean_y) for x, y in logs)
            / sum((x - mean_x) ** 2 for x, _ in logs))
