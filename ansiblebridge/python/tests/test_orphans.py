"""What becomes of a worker whose parent is killed."""
import multiprocessing
import multiprocessing.queues
import os
import signal
import threading
import time
import unittest

from spindle_ansible import orphans


def _spawn(early):
    """A parent with a worker below it; returns (parent, worker)."""
    reader, writer = os.pipe()
    ready, tell = os.pipe()
    parent = os.fork()
    if not parent:
        me = os.getpid()
        worker = os.fork()
        if not worker:
            if early:
                time.sleep(0.3)  # the parent is killed meanwhile
            orphans.end_with_parent(me)
            os.write(tell, b'up')
            time.sleep(60)
            os._exit(0)
        os.write(writer, b'%10d' % worker)
        time.sleep(60)
        os._exit(0)
    os.close(writer)
    os.close(tell)
    worker = int(os.read(reader, 10))
    if not early:
        assert os.read(ready, 2) == b'up'
    os.close(reader)
    os.close(ready)
    return parent, worker


def _gone(pid, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with open('/proc/%d/stat' % pid) as f:
                if f.read().rpartition(')')[2].split()[0] == 'Z':
                    return True
        except OSError:
            return True
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    return False


class OrphansTest(unittest.TestCase):
    def test_a_worker_ends_with_its_parent(self):
        for early in (False, True):
            with self.subTest(early=early):
                parent, worker = _spawn(early)
                os.kill(parent, signal.SIGKILL)
                os.waitpid(parent, 0)
                self.assertTrue(_gone(worker))


class ResultsTest(unittest.TestCase):
    """A worker that is killed while it writes a result keeps the queue's lock, and half a message is in the pipe."""

    def test_the_end_does_not_wait_for_the_dead(self):
        context = multiprocessing.get_context('fork')

        class Strategy(object):
            _final_q = multiprocessing.queues.SimpleQueue(ctx=context)

        strategy = Strategy()

        def read():
            try:
                while True:
                    strategy._final_q.get()
            except (OSError, EOFError):
                pass

        def write():
            strategy._final_q._wlock.acquire()
            os.write(strategy._final_q._writer.fileno(), b'\0\0\1\0half')
            os.kill(os.getpid(), signal.SIGKILL)

        dead = context.Process(target=write)
        dead.start()
        dead.join()
        waiting = context.Process(target=lambda: strategy._final_q.put('more'))
        waiting.start()
        strategy._results_thread = threading.Thread(target=read, daemon=True)
        strategy._results_thread.start()
        orphans.free_results(strategy, [None, dead, waiting], seconds=1)
        strategy._final_q.put('the end')
        strategy._results_thread.join(10)
        self.assertFalse(strategy._results_thread.is_alive())
        self.assertFalse(waiting.is_alive())

    def test_a_queue_in_order_is_left_alone(self):
        class Strategy(object):
            _final_q = multiprocessing.queues.SimpleQueue(ctx=multiprocessing.get_context('fork'))

        strategy = Strategy()
        orphans.free_results(strategy, [])
        strategy._final_q.put('still works')
        self.assertEqual(strategy._final_q.get(), 'still works')


if __name__ == '__main__':
    unittest.main()
