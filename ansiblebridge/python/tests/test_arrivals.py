"""Waiting for results and for places, without looking all the time."""
import collections
import multiprocessing
import os
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

    def test_results_that_are_kept_otherwise_are_not_known(self):
        self.assertTrue(self.arrivals.possible)
        self.assertFalse(arrivals.Arrivals(Strategy()).possible)
        self.assertFalse(arrivals.Arrivals(Strategy(_results=[])).possible)


class PlacesTest(unittest.TestCase):
    def worker(self, *work):
        process = PROCESS(target=work[0], args=work[1:])
        process.start()
        self.addCleanup(process.join)
        self.addCleanup(process.kill)
        return process

    def test_a_place_without_a_worker_is_free(self):
        arrivals.wait_for_place([self.worker(time.sleep, 60), None])

    def test_a_worker_that_ends_leaves_its_place(self):
        with mock.patch.object(arrivals, 'LOOK_SECONDS', 60):
            arrivals.wait_for_place([self.worker(time.sleep, 60), self.worker(time.sleep, 0.1)])

    def test_members_of_one_process_share_what_tells_of_them(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        alive = [True]

        class Member(object):
            exitcode, sentinel = None, reader

            def is_alive(self):
                return alive[0]

        def end():
            alive[0] = False
            os.close(writer)
        thread = threading.Timer(0.1, end)
        thread.start()
        with mock.patch.object(arrivals, 'LOOK_SECONDS', 60):
            arrivals.wait_for_place([Member(), Member()])
        thread.join()
        self.assertFalse(alive[0])

    def test_a_worker_that_failed_is_told_of(self):
        bad = self.worker(os._exit, 3)
        bad.join()
        with self.assertRaisesRegex(AnsibleError, 'dead state'):
            arrivals.check(bad)
        good = self.worker(os._exit, 0)
        good.join()
        arrivals.check(good)
        arrivals.check(self.worker(time.sleep, 60))
