"""Waiting for files to be readable."""
import os
import resource
import unittest

from spindle_ansible import waiting


class ReadableTest(unittest.TestCase):
    def pipe(self):
        ends = os.pipe()
        for end in ends:
            self.addCleanup(os.close, end)
        return ends

    def test_what_there_is_to_read_is_seen(self):
        reader, writer = self.pipe()
        self.assertFalse(waiting.readable(reader, 0))
        self.assertFalse(waiting.readable(reader, 0.001))
        os.write(writer, b'x')
        self.assertTrue(waiting.readable(reader, 0))
        self.assertTrue(waiting.readable(reader, None))

    def test_an_end_is_seen(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.close(writer)
        self.assertTrue(waiting.readable(reader, 5))

    def test_large_numbers_will_do(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 3000:
            self.skipTest('no process may have so many files')
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        reader, writer = self.pipe()
        os.dup2(reader, 2500)
        self.addCleanup(os.close, 2500)
        os.write(writer, b'x')
        self.assertTrue(waiting.readable(2500, 0))


if __name__ == '__main__':
    unittest.main()
