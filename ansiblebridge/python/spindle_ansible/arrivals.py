"""A strategy sleeps until there is a result, or a place for a worker.

Ansible's own looks every millisecond for the one, and ten times as often for the other. Each look at the results makes a
templating environment: together a tenth of a processor, of which controller and targets may have only two.
"""
import collections
import functools
import threading
from multiprocessing import connection

from ansible.errors import AnsibleError

# Whatever else there may be to see, such as a worker that was killed, is seen so often.
LOOK_SECONDS = 0.05
# The same where workers may ask this process for something while their places are waited for (2.22: add_host, group_by).
ASKED_SECONDS = 0.005
# What changes by itself in a moment: hosts that come together in one worker are all there, or a worker that has sent its result is gone.
SOON_SECONDS = 0.001

DEAD = 'A worker was found in a dead state'  # in Ansible's words

_QUEUES = '_results', '_handler_results'  # the second up to ansible-core 2.13


class _Queue(collections.deque):
    """The results that the strategy's thread has read."""

    def __init__(self, arrived):
        super(_Queue, self).__init__()
        self._arrived = arrived

    def append(self, result):
        """As ever, and wake who waits."""
        super(_Queue, self).append(result)
        self._arrived.set()


class Arrivals(object):
    """What has come for one strategy, which must be new."""

    def __init__(self, strategy):
        self._arrived = threading.Event()
        self._queues = []
        for name in _QUEUES:
            if type(getattr(strategy, name, None)) is collections.deque:
                self._queues.append(_Queue(self._arrived))
                setattr(strategy, name, self._queues[-1])
        self._asked = getattr(strategy, '_rpc_queue', None)
        self._serve = getattr(strategy, '_process_rpc_queue', None)
        if self._asked is not None:
            self._asked.put = self._waking(self._asked.put)
        self.possible = bool(self._queues)

    def _waking(self, put):
        @functools.wraps(put)
        def put_and_wake(*args, **kwargs):
            put(*args, **kwargs)
            self._arrived.set()
        return put_and_wake

    def any(self):
        """Whether there is something to look at."""
        return any(self._queues) or self._asked is not None and not self._asked.empty()

    def wait(self, seconds=None):
        """Sleep until there is, but not for long."""
        self._arrived.clear()
        if not self.any():
            self._arrived.wait(LOOK_SECONDS if seconds is None else seconds)

    def wait_for_place(self, places, first, unforked=None, once=False):
        """Sleep until one of these places for workers is free, which are looked at from the first on, as Ansible does next.

        unforked is called while all are taken and some by workers that are not even forked. once: sleep once at most.
        Raises AnsibleError where the one that leaves its place has not ended as it should: its result would be waited for for ever.
        """
        order = places[first:] + places[:first]
        while True:
            ends, patience = set(), LOOK_SECONDS if self._serve is None else ASKED_SECONDS  # those who share a process share an end
            for worker in order:
                if worker is None:
                    return
                if not worker.is_alive():
                    check(worker)
                    return
                try:
                    ends.add(worker.sentinel)
                except ValueError:  # it waits to be forked
                    patience = SOON_SECONDS
            if patience == SOON_SECONDS and unforked is not None:
                unforked()
            if self._serve is not None:
                self._serve()
            if alive(places) == len(places):  # one may have told of its end meanwhile, and tells it once
                connection.wait(ends, patience)
                if once:
                    return


def alive(workers):
    """How many there are. Raises AnsibleError if one ended otherwise than it should."""
    count = 0
    for worker in workers:
        if worker is not None:
            check(worker)
            count += worker.is_alive()
    return count


def check(worker):
    """Raise AnsibleError if a worker ended otherwise than it should."""
    try:
        code = worker.exitcode
    except ValueError:  # closed, as some releases do with those that have ended
        return
    if code:
        raise AnsibleError(DEAD)
