# SPDX-License-Identifier: Apache-2.0
"""Names of exports that would be a path, or another export's name, to a server that took them for more than a name."""

import os


def path_tricks(name, other, state):
    """Of an export that is there, and another one; `state` is the daemon's directory. As bytes."""
    backing = os.path.join(state, "volumes")
    files = sorted(os.listdir(backing))
    assert files, "no backing file in " + backing
    texts = [
        "../" + name,
        "./" + name,
        "/" + name,
        name + "/",
        name + "/.",
        name + "/../" + other,
        other + "/../" + name,
        "/dev/sda",
        "/dev/../" + name,
        "../volumes/" + files[0],
        os.path.join(backing, files[0]),
        "file://" + os.path.join(backing, files[0]),
        "%2e%2e%2f" + name,
        "..\\" + name,
        name + "\n",
        name + " ",
        name + "\0x",
        name + "\0",
        name + "\0@lsn:1",
        name + "@",
        name + "@../x",
        name + "@/dev/sda",
        name + "@mark:../..",
        name + "@mark:",
        name + "@lsn:-1",
        name + "@lsn:1/../2",
        name + "@lsn:18446744073709551616",
        name + "@lsn:1@" + other,
        name + "@lsn:1\0",
        "../" + name + "@lsn:1",
        name + "/../" + other + "@lsn:1",
        "@lsn:1",
        "@" + name,
        "id:../" + name + "@lsn:1",
    ]
    return [text.encode() for text in texts]
