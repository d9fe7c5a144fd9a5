"""What becomes of a worker whose parent is killed."""
import os
import signal
import time
import unittest

from spindle_ansible import orphans


def _spawn(early):
    """A parent with a worker below it; returns (parent, worker)."""
    reader, writer = os.pipe()
    ready, tell = os.pipe()
    parent = os.fork()
    if not parent:
        worker = os.fork()
        if not worker:
            me = os.getppid()
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


if __name__ == '__main__':
    unittest.main()
