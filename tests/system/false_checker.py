# SPDX-License-Identifier: Apache-2.0
"""A hindsight-check that is none: false_checker.py DIRECTORY does what the file `how` there says.

hindsightd is its standard input. What it could learn is written to `learnt` there.
"""
import array
import json
import os
import socket
import sys

directory = sys.argv[1]
with open(os.path.join(directory, "how"), encoding="utf-8") as file:
    how = file.read().strip()
daemon = socket.socket(fileno=0)
SOUND = {"offset": 0, "bytes": 4096, "type": "ext4", "tool": "e2fsck", "outcome": "clean"}
RESULT = {"partition_table": None, "file_systems": [SOUND], "nothing_known": False}


def say(message):
    daemon.sendall((message if isinstance(message, str) else json.dumps(message)).encode() + b"\n")


def hear():
    """A line, and the descriptors that came with it."""
    line, descriptors = b"", []
    while not line.endswith(b"\n"):
        byte, ancillary, _, _ = daemon.recvmsg(1, socket.CMSG_SPACE(4))
        if not byte:
            sys.exit(0)
        line += byte
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors += array.array("i", data)
    return json.loads(line), descriptors


def until_it_goes():
    try:
        while daemon.recv(4096):
            pass
    except ConnectionError:
        pass


def learn(what):
    with open(os.path.join(directory, "learnt"), "a", encoding="utf-8") as learnt:
        learnt.write(json.dumps(what) + "\n")


def open_stretch(offset, size):
    say({"open": {"offset": offset, "bytes": size}})
    return hear()


def with_system(**changes):
    return {"result": {**RESULT, "file_systems": [{**SOUND, **changes}]}}


def refused_stretches():
    """What is no stretch of the device is refused, and the 65th of those that are."""
    for offset, count in (0, size + 1), (size, 4096), (512, 4096), (0, 0), (1 << 63, 4096), (4096, (1 << 64) - 4096):
        answer, descriptors = open_stretch(offset, count)
        assert "refused" in answer and not descriptors, (offset, count, answer)
    kept = []
    for _ in range(70):
        answer, descriptors = open_stretch(0, 4096)
        kept += descriptors
    assert "refused" in answer and 50 < len(kept) <= 64, (answer, len(kept))
    learn({"stretches": len(kept)})
    say({"result": RESULT})


def stay_inside():
    """A stretch is all that its socket gives: no other name, nothing behind its end."""
    import nbd
    _, descriptors = open_stretch(4096, 8192)
    names = nbd.NBD()
    names.set_export_name("shop")
    try:
        names.connect_socket(descriptors[0])
        sys.exit("the volume itself is served")
    except nbd.Error as error:
        learn({"another name": str(error)})
    _, descriptors = open_stretch(4096, 8192)
    stretch = nbd.NBD()
    stretch.set_strict_mode(0)
    stretch.connect_socket(descriptors[0])
    assert stretch.get_size() == 8192, stretch.get_size()
    for act in (lambda: stretch.pread(4096, 8192), lambda: stretch.pwrite(b"x" * 4096, 6144),
                lambda: stretch.zero(1 << 20, 0)):
        try:
            act()
            sys.exit("the stretch has no end")
        except nbd.Error:
            pass
    stretch.pwrite(b"\xee" * 8192, 0)
    assert bytes(stretch.pread(8192, 0)) == b"\xee" * 8192
    learn({"inside": True})
    say({"result": RESULT})


def write_without_end():
    """More than 4 GiB are refused."""
    import nbd
    _, descriptors = open_stretch(0, size)
    device = nbd.NBD()
    device.connect_socket(descriptors[0])
    written = 0
    try:
        while written < 5 << 30:
            device.pwrite(b"\x55" * (1 << 20), written % (size - (1 << 20)) // 4096 * 4096)
            written += 1 << 20
        sys.exit("nothing ends it")
    except nbd.Error as error:
        assert error.errno == "ENOSPC", error.errno
    learn({"written": written})
    say({"result": RESULT})


def flood():
    """As many bytes as it takes, without an end of a line."""
    try:
        while True:
            daemon.sendall(b"[" * 65536)
    except OSError:
        learn({"flood": "ended"})


LIES = {
    "outside": with_system(offset=0, bytes=1 << 60),
    "negative": with_system(offset=-4096),
    "half": with_system(offset=0.5),
    "text": with_system(bytes="4096"),
    "outcome": with_system(outcome="splendid"),
    "nobody": {"result": {**RESULT, "file_systems": [{"offset": 0, "bytes": 4096, "type": "ext4", "outcome": "clean"}]}},
    "control": with_system(label="a\x1b[2Jb"),
    "long": with_system(output="x" * 5000),
    "member": with_system(html="<b>"),
    "many": {"result": {**RESULT, "file_systems": [SOUND] * 65}},
    "partition": with_system(partition=1),
    "contradiction": {"result": {**RESULT, "nothing_known": True}},
    "word": {"rm": "-rf"},
    "list": [],
    "number": 7,
    "broken": "{",
    "deep": "[" * 200 + "]" * 200,
    "bytes": '{"doing": "\udcff"}',
}
request, _ = hear()
size = request["bytes"]
learn(request)
if how in LIES:
    if isinstance(LIES[how], str):
        daemon.sendall(LIES[how].encode("utf-8", "surrogateescape") + b"\n")
    else:
        say(LIES[how])
    until_it_goes()
elif how == "dies":
    say({"doing": "dying"})
elif how == "silent":
    say({"doing": "saying nothing"})
    until_it_goes()
    learn({"silent": "was told to end"})
elif how == "chatty":
    for number in range(5000):
        say({"doing": f"counting {number}"})
    until_it_goes()
elif how == "holds":
    # Takes no reply of the device, and says so at the end.
    _, stretch = open_stretch(0, size)
    say({"result": RESULT})
    until_it_goes()
elif how == "finds nothing":
    say({"result": {"partition_table": None, "file_systems": [], "nothing_known": True}})
elif how == "fails":
    say({"failed": "it cannot be helped"})
else:
    {"flood": flood, "stretches": refused_stretches, "inside": stay_inside, "writes": write_without_end}[how]()
