# SPDX-License-Identifier: Apache-2.0
"""What systemd does for a socket with Accept=yes: accept_loop.py SOCKET COMMAND...

Each connection becomes the standard input of the command, which is run anew for it.
"""
import os
import signal
import socket
import subprocess
import sys

path, command = sys.argv[1], sys.argv[2:]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(16)
print("listening", flush=True)
running = []
while True:
    connection, _ = listener.accept()
    running = [each for each in running if each.poll() is None]
    running.append(subprocess.Popen(command, stdin=connection, stdout=sys.stderr))
    connection.close()
