# SPDX-License-Identifier: Apache-2.0
#
# at_terminal.py [PROMPT TEXT]... -- COMMAND...: runs a command at a terminal of its own and types
# each text when its prompt, a regular expression, is shown. Ends as the command does.
import os
import pty
import re
import select
import sys
import time

SECONDS_PER_ANSWER = 120


def main():
    end = sys.argv.index("--")
    answers = list(zip(sys.argv[1:end:2], sys.argv[2:end:2]))
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(sys.argv[end + 1], sys.argv[end + 1:])
    shown, seen = "", 0
    deadline = time.monotonic() + SECONDS_PER_ANSWER
    while True:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            print(shown + f"\nnothing more in {SECONDS_PER_ANSWER} s")
            os.kill(pid, 9)
            break
        try:
            got = os.read(terminal, 4096)
        except OSError:  # the last who had the terminal open is gone
            break
        shown += got.decode(errors="replace")
        match = re.search(answers[0][0], shown[seen:]) if answers else None
        if match:
            seen += match.end()
            os.write(terminal, (answers.pop(0)[1] + "\n").encode())
            deadline = time.monotonic() + SECONDS_PER_ANSWER
    print(shown.replace("\r\n", "\n"), end="")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if answers:
        print("it never asked for: " + answers[0][0])
    sys.exit(status if status != 0 or not answers else 1)


main()
