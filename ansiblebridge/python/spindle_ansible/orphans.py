"""Workers end when ansible-playbook is killed.

One that is left alone waits: for a multiplexer that ended together with its parent, or
at its exit for somebody to read the result that it has queued. Nobody will.
"""
import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent(parent):
    """Called in a worker: its parent's death is to be its own. Linux only; elsewhere it ends in its own time."""
    try:
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:  # it was killed before that call
        os._exit(1)
