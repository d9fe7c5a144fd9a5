"""The queue of file operations that ride in the next call."""
import unittest

from spindle_ansible import files


class QueueTest(unittest.TestCase):
    def setUp(self):
        self.queue = files.Queue()

    def test_what_was_never_made_needs_no_removal(self):
        self.queue.add('ctx', files.mkdir('/t/a', temp=True))
        self.queue.add('ctx', files.write('/t/a/source', b'one'), b'one')
        self.queue.add('ctx', files.chmod('/t/a/source', 'u+x'))
        self.assertTrue(self.queue.drop_below('/t/a'))
        self.assertFalse(self.queue)
        self.assertEqual((self.queue.contents, self.queue.context), ([], None))

    def test_what_was_made_before_is_removed_for_real(self):
        self.queue.add('ctx', files.write('/t/a/source', b'one'), b'one')
        self.assertFalse(self.queue.drop_below('/t/a'))
        self.assertTrue(self.queue)

    def test_neighbours_stay_with_their_content(self):
        self.queue.add('ctx', files.write('/t/first', b'1'), b'1')
        self.queue.add('ctx', files.mkdir('/t/a'))
        self.queue.add('ctx', files.write('/t/a/x', b'2'), b'2')
        self.queue.add('ctx', files.write('/t/ab', b'3'), b'3')
        self.assertTrue(self.queue.drop_below('/t/a'))
        self.assertEqual([op['path'] for op in self.queue.ops], ['/t/first', '/t/ab'])
        self.assertEqual(self.queue.contents, [b'1', b'3'])

    def test_times_and_modes_are_told_when_known(self):
        self.assertEqual(files.write('/x', b'abc', 0o640, (1.5, 2.5)),
                         {'op': 'write', 'path': '/x', 'size': 3, 'mode': 0o640, 'atime': 1.5, 'mtime': 2.5})
        self.assertEqual(files.write('/x', b''), {'op': 'write', 'path': '/x', 'size': 0})


if __name__ == '__main__':
    unittest.main()
