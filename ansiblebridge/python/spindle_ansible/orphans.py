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


class _Nowhere(object):
    """Takes the place of a queue that cannot be written to any more."""

    def put(self, obj):
        """Drop it."""


def free_results(strategy, workers, seconds=3):
    """End the reading of results where a worker was killed while it wrote one.

    It holds the queue's lock for ever then, and nobody will end its message: Ansible's own end would wait for both.
    """
    queue = strategy._final_q
    lock = getattr(queue, '_wlock', None)
    if lock is None:
        return
    if lock.acquire(timeout=seconds):
        lock.release()
        return
    for worker in workers:
        if worker is not None and worker.is_alive():
            worker.kill()  # it waits for the lock, and holds the other end open
            worker.join(seconds)
    queue._writer.close()
    strategy._results_thread.join(seconds)
    strategy._final_q = _Nowhere()
