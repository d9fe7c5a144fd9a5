"""Listings of directories: the same as without a memory, whatever happens there."""
import glob
import os
import shutil
import tempfile
import time
import unittest
from unittest import mock

from ansible.plugins import loader as plugin_loader

from spindle_ansible import listings


class ListingsTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.listings = listings.Listings()
        self.pattern = os.path.join(self.directory, '*.py')
        self.make('one.py')

    def make(self, name):
        open(os.path.join(self.directory, name), 'w').close()

    def age(self, seconds=10):
        then = time.time() - seconds
        os.utime(self.directory, (then, then))

    def look(self):
        """What it lists, which must be so, and whether it had to look."""
        with mock.patch('glob.glob', side_effect=glob.glob) as looked:
            found = self.listings.glob(self.pattern)
        self.assertEqual(sorted(found), sorted(glob.glob(self.pattern)))
        return looked.called

    def test_what_did_not_change_is_not_looked_at_again(self):
        self.age()
        self.assertEqual([self.look(), self.look(), self.look()], [True, False, False])

    def test_changes_are_seen(self):
        self.age()
        self.look()
        self.make('two.py')
        self.assertTrue(self.look())
        self.age(20)
        self.look()
        os.unlink(os.path.join(self.directory, 'one.py'))
        self.assertTrue(self.look())
        shutil.rmtree(self.directory)
        self.look()
        os.mkdir(self.directory)
        self.make('three.py')
        self.look()

    def test_what_changed_just_now_is_not_remembered(self):
        self.assertEqual([self.look(), self.look()], [True, True])

    def test_answers_belong_to_who_asked(self):
        self.age()
        self.look()
        self.listings.glob(self.pattern).append('more')
        self.look()

    def test_other_patterns_are_not_its_business(self):
        self.age()
        for pattern in (os.path.join(self.directory, '*'), os.path.join(self.directory, '[o]*.py'), os.path.join(self.directory[:-1] + '?', '*.py')):
            self.assertEqual(sorted(self.listings.glob(pattern)), sorted(glob.glob(pattern)))
        self.assertIs(self.listings.iglob, glob.iglob)

    def test_it_comes_and_goes(self):
        remove = listings.install()
        self.assertIsInstance(plugin_loader.glob, listings.Listings)
        listings.install()()
        self.assertIsInstance(plugin_loader.glob, listings.Listings)
        remove()
        self.assertIs(plugin_loader.glob, glob)
