"""Runs a program on a terminal, and types: typed.py '[["what it shows", "what to type"]...]' PROGRAM [ARGUMENT...]

A program that reads key by key throws away what was typed before it began to. So it is waited for, and what seems to be lost is typed once more.
"""
import json
import os
import pty
import select
import sys
import termios
import time

steps = [(shown.encode(), keys.encode()) for shown, keys in json.loads(sys.argv[1])]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])

seen, due, again = b"", None, None
while True:
    if select.select([terminal], [], [], 0.1)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # nobody has it open any more
            break
        os.write(1, data)
        seen += data
        again = None
    by_key = not termios.tcgetattr(terminal)[3] & termios.ICANON
    now = time.monotonic()
    if due is None and steps and steps[0][0] in seen:
        shown, keys = steps.pop(0)
        seen = seen.partition(shown)[2]
        due, wants_keys = now + 0.3, not keys.endswith(b"\n")
    if due is not None and now >= due and by_key >= wants_keys:
        os.write(terminal, keys)
        due, again = None, now + 5
    elif again is not None and now >= again and by_key:
        os.write(terminal, keys)
        again = now + 5
sys.exit(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))
