"""Waiting for results and for places, without looking all the time."""
import collections
import multiprocessing
import os
import queue
import threading
import time
import unittest
from unittest import mock

from ansible.errors import AnsibleError

from spindle_ansible import arrivals

PROCESS = multiprocessing.get_context('fork').Process


class Strategy(object):
    def __init__(self, **queues):
        self.__dict__.update(queues)


class Place(object):
    """A worker that is there for as long as it is said, and has not been forked unless it has an end."""

    exitcode = None

    def __init__(self, is_alive, end=None):
        self.is_alive, self.end = is_alive, end

    @property
    def sentinel(self):
        if self.end is None:
            raise ValueError('not forked yet')
        return self.end


class ArrivalsTest(unittest.TestCase):
    def setUp(self):
        self.strategy = Strategy(_results=collections.deque())
        self.arrivals = arrivals.Arrivals(self.strategy)
        patch = mock.patch.object(arrivals, 'LOOK_SECONDS', 60)
        patch.start()
        self.addCleanup(patch.stop)

    def test_a_result_wakes(self):
        thread = threading.Timer(0.1, lambda: self.strategy._results.append('result'))
        thread.start()
        started = time.monotonic()
        self.arrivals.wait()
        self.assertLess(time.monotonic() - started, 30)
        self.assertEqual(self.strategy._results.popleft(), 'result')
        self.assertFalse(self.arrivals.any())
        thread.join()

    def test_one_that_was_there_before_needs_no_waiting(self):
        self.strategy._results.append(1)
        self.strategy._results.append(2)
        for _ in range(2):  # also if nobody took it the last time
            started = time.monotonic()
            self.arrivals.wait()
            self.assertLess(time.monotonic() - started, 30)
        self.strategy._results.popleft()
        self.assertTrue(self.arrivals.any())

    def test_nobody_waits_for_ever(self):
        with mock.patch.object(arrivals, 'LOOK_SECONDS', 0.05):
            self.arrivals.wait()

    def test_results_of_handlers_count(self):
        strategy = Strategy(_results=collections.deque(), _handler_results=collections.deque())
        both = arrivals.Arrivals(strategy)
        strategy._handler_results.append(1)
        self.assertTrue(both.any())

    def test_what_a_worker_asks_for_wakes(self):
        asked, served = queue.Queue(), []
        strategy = Strategy(_results=collections.deque(), _rpc_queue=asked, _process_rpc_queue=lambda: served.append(asked.get()))
        both = arrivals.Arrivals(strategy)
        thread = threading.Timer(0.1, lambda: asked.put('question'))
        thread.start()
        started = time.monotonic()
        both.wait()
        self.assertLess(time.monotonic() - started, 30)
        self.assertTrue(both.any())
        thread.join()

        # And is answered while all places are taken, as the one that asks holds one.
        free = threading.Event()
        worker = Place(lambda: not served)
        thread = threading.Thread(target=lambda: (both.wait_for_place([worker], 0), free.set()), daemon=True)
        thread.start()
        self.assertTrue(free.wait(30))
        self.assertEqual(served, ['question'])

    def test_results_that_are_kept_otherwise_are_not_known(self):
        self.assertTrue(self.arrivals.possible)
        self.assertFalse(arrivals.Arrivals(Strategy()).possible)
        self.assertFalse(arrivals.Arrivals(Strategy(_results=[])).possible)


class PlacesTest(unittest.TestCase):
    def setUp(self):
        self.arrivals = arrivals.Arrivals(Strategy())

    def worker(self, *work):
        process = PROCESS(target=work[0], args=work[1:])
        process.start()
        self.addCleanup(process.join)
        self.addCleanup(process.kill)
        return process

    def test_a_place_without_a_worker_is_free(self):
        self.arrivals.wait_for_place([self.worker(time.sleep, 60), None], 0)

    def test_a_worker_that_ends_leaves_its_place(self):
        with mock.patch.object(arrivals, 'LOOK_SECONDS', 60):
            self.arrivals.wait_for_place([self.worker(time.sleep, 60), self.worker(time.sleep, 0.1)], 1)

    def test_members_of_one_process_share_what_tells_of_them(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        ended = []

        def end():
            ended.append(True)
            os.close(writer)
        thread = threading.Timer(0.1, end)
        thread.start()
        with mock.patch.object(arrivals, 'LOOK_SECONDS', 60):
            self.arrivals.wait_for_place([Place(lambda: not ended, reader), Place(lambda: not ended, reader)], 0)
        thread.join()
        self.assertTrue(ended)

    def test_what_is_told_while_others_are_looked_at_is_not_missed(self):
        reader, writer = os.pipe()  # nobody will write any more: it was told, and read
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        answers = [True]
        worker = Place(lambda: answers.pop() if answers else False, reader)
        started = time.monotonic()
        with mock.patch.object(arrivals, 'LOOK_SECONDS', 60):
            self.arrivals.wait_for_place([worker], 0)
        self.assertLess(time.monotonic() - started, 30)

    def test_those_that_are_not_forked_are_forked_where_their_places_are_needed(self):
        forked = []
        self.arrivals.wait_for_place([Place(lambda: not forked)], 0, lambda: forked.append(True))
        self.assertEqual(forked, [True])

    def test_an_unknown_release_looks_itself(self):
        self.arrivals.wait_for_place([self.worker(time.sleep, 60)], 0, once=True)

    def test_a_worker_that_failed_is_told_of(self):
        bad, good, busy = self.worker(os._exit, 3), self.worker(os._exit, 0), self.worker(time.sleep, 60)
        bad.join()
        good.join()
        for ask in (lambda: arrivals.check(bad), lambda: arrivals.alive([None, busy, bad]), lambda: self.arrivals.wait_for_place([busy, bad], 1)):
            with self.assertRaisesRegex(AnsibleError, 'dead state'):
                ask()
        arrivals.check(good)
        self.assertEqual(arrivals.alive([None, busy, good]), 1)
