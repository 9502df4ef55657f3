# SPDX-License-Identifier: Apache-2.0
#
# under_unit.py UNIT USER COMMAND...: runs a command with what a unit of systemd allows it: its user
# and groups, its capabilities, no new privileges, its umask, its filter of system calls, and the kinds
# of namespaces that it may make.
import ctypes
import errno
import grp
import os
import pwd
import subprocess
import sys

import seccomp

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 24, 38, 47, 2
PR_SET_KEEPCAPS = 8
CAPABILITIES = {"CAP_LINUX_IMMUTABLE": 9}
LAST_CAPABILITY = 40
NAMESPACES = {"cgroup": 0x02000000, "ipc": 0x08000000, "net": 0x40000000, "mnt": 0x00020000, "pid": 0x20000000,
              "user": 0x10000000, "uts": 0x04000000}


def settings(unit):
    """The unit's assignments: a list of words by key, with what was assigned again appended."""
    found = {}
    with open(unit, encoding="utf-8") as lines:
        for line in lines:
            key, equals, value = line.strip().partition("=")
            if equals and not key.startswith("#"):
                found.setdefault(key, []).extend(value.split())
    return found


def calls_of(words):
    """Names of system calls, with the groups of them that systemd knows."""
    calls = set()
    for word in words:
        if not word.startswith("@"):
            calls.add(word)
            continue
        lines = subprocess.run(["systemd-analyze", "syscall-filter", word], check=True,
                               capture_output=True, text=True).stdout.splitlines()
        inside = [line.strip() for line in lines[1:]]
        calls |= calls_of([line for line in inside if line and not line.startswith("#")])
    return calls


def restrict_namespaces(words):
    """A filter beside the other one: of both, what refuses counts. Of clone3 nobody sees the flags."""
    filter_ = seccomp.SyscallFilter(seccomp.ALLOW)
    filter_.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    for name, flag in NAMESPACES.items():
        if name in words or words == ["no"]:
            continue
        for call in "unshare", "clone":
            filter_.add_rule(seccomp.ERRNO(errno.EPERM), call, seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    filter_.load()


def main():
    unit, user, command = settings(sys.argv[1]), pwd.getpwnam(sys.argv[2]), sys.argv[3:]
    libc = ctypes.CDLL(None, use_errno=True)

    def prctl(*words):
        if libc.prctl(*(list(words) + [0] * (5 - len(words)))) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {words}")

    # Python's own start needs more than the daemon: everything below is looked up before the filter.
    calls = calls_of(unit["SystemCallFilter"])
    kept = {CAPABILITIES[name] for name in unit["CapabilityBoundingSet"]}
    for capability in range(LAST_CAPABILITY + 1):
        if capability not in kept:
            prctl(PR_CAPBSET_DROP, capability)
    groups = [grp.getgrnam(name).gr_gid for name in unit.get("SupplementaryGroups", [])]
    os.umask(int(unit["UMask"][0], 8))
    os.setgroups([user.pw_gid] + groups)
    os.setgid(user.pw_gid)
    prctl(PR_SET_KEEPCAPS, 1)
    os.setuid(user.pw_uid)

    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    class Data(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]

    mask = sum(1 << capability for capability in kept)
    data = (Data * 2)(Data(mask, mask, mask), Data(0, 0, 0))
    if libc.capset(ctypes.byref(Header(0x20080522, 0)), data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    for name in unit.get("AmbientCapabilities", []):
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAPABILITIES[name])
    prctl(PR_SET_NO_NEW_PRIVS, 1)

    refused = getattr(errno, unit["SystemCallErrorNumber"][0])
    allowed = seccomp.SyscallFilter(seccomp.ERRNO(refused))
    for call in sorted(calls):
        number = seccomp.resolve_syscall(seccomp.Arch(), call)
        if number >= 0:  # those of other architectures have none here
            allowed.add_rule(seccomp.ALLOW, number)
    restrict_namespaces(unit.get("RestrictNamespaces", ["no"]))
    # The end of this interpreter's own start of the command.
    allowed.load()
    os.execv(command[0], command)


main()
