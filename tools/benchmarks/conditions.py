# SPDX-License-Identifier: Apache-2.0
"""Under what conditions figures are taken: the machine, its disks, the commit, the sizes."""
import hashlib
import os
import subprocess

from .machine import GIB, MIB, ROOT, run

# What is measured, and measures; what else is changed makes no other commit of it.
MEASURED = ["cdp", "journal", "restore", "tools", "tests/bench", "CMakeLists.txt"]


def conditions(settings):
    return {"machine": machine(), "volume_disk": disk(settings.work),
            "vault_disk": disk(settings.vault_work), "commit": commit(),
            "volume_mib": settings.size // MIB, "history_seconds": settings.seconds}


def machine():
    memory_kib = int(field("/proc/meminfo", "MemTotal").split()[0])
    return {"cpu": field("/proc/cpuinfo", "model name"), "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(memory_kib * 1024 / GIB, 1),
            "kernel": os.uname().release}


def field(path, name):
    with open(path) as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return "unknown"


def disk(path):
    """The file system there and the whole disk below it, as far as the kernel says."""
    mounts = run(["findmnt", "--noheadings", "--output", "FSTYPE,SOURCE", "--target", path])
    kind, source = mounts.splitlines()[-1].split(None, 1)  # the last one lies on top
    told = {"file_system": kind, "name": os.path.basename(source.strip())}
    device = whole_disk(path)
    if device is not None:
        told["name"] = os.path.basename(device)
        told["gib"] = int(read(f"{device}/size")) * 512 // GIB
        told["model"] = read(f"{device}/device/model") or "virtual"
    return told


def whole_disk(path):
    """Its directory in sysfs; None where the file system is not on one."""
    number = os.stat(path).st_dev
    device = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not os.path.exists(device):
        return None
    return os.path.dirname(device) if os.path.exists(f"{device}/partition") else device


def read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def commit():
    """With what stands for changes to files that matter; "unknown" in what is no checkout."""
    def git(*words):
        return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True)
    head = git("rev-parse", "HEAD")
    if head.returncode != 0:
        return "unknown"
    changes = git("diff", "HEAD", "--", *MEASURED).stdout
    digest = hashlib.sha256(changes.encode()).hexdigest()[:8]
    return head.stdout.strip() + (f"-modified-{digest}" if changes else "")
