"""Releases of Ansible that nobody here has seen: copies of the installed one with another version and something changed."""
import os
import re
import shutil
import subprocess
import unittest

import ansible

from spindle_ansible import selfcheck
from tests.playbook_case import PLAYBOOK, PlaybookCase

FUTURE = '2.99.0'


def other_release(case, version, path=None, old=None, new=None):
    """Have a PlaybookCase run a copy of Ansible that says it is of another release, with one thing changed."""
    top = os.path.join(case.directory, 'other')
    there = os.path.dirname(os.path.abspath(ansible.__file__))
    shutil.copytree(there, os.path.join(top, 'ansible'), ignore=shutil.ignore_patterns('__pycache__', 'galaxy'))
    for name, pattern, text in (('release.py', '__version__ = ', "__version__ = '%s'  # " % version), (path, old, new)):
        if name is None:
            continue
        file = os.path.join(top, 'ansible', name)
        with open(file) as f:
            content = f.read()
        changed, count = re.subn(pattern, text, content)
        case.assertTrue(count, '%s has no %s' % (name, pattern))
        with open(file, 'w') as f:
            f.write(changed)
    with open(os.path.join(top, 'ansible', 'cli', 'playbook.py'), 'r+') as f:
        if 'def main(' not in f.read():  # before ansible-core 2.11; none of the future will be without
            f.write('\n\ndef main(args):\n    return PlaybookCLI(args).run()\n')
    case.environ.update(PYTHONPATH=top, XDG_CACHE_HOME=os.path.join(case.directory, 'cache'))
    case.assertIn(version, subprocess.check_output([PLAYBOOK, '--version'], env=case.environ).decode())


class DifferencesTest(unittest.TestCase):
    def test_the_installed_release_has_none(self):
        self.assertEqual(selfcheck.differences(), [])

    def test_signatures(self):
        def ours(a, b=None):
            pass

        def more(a, b=None, c=None):
            pass

        def any_more(a, **kwargs):
            pass
        self.assertTrue(selfcheck._accepts(ours, ours))
        self.assertTrue(selfcheck._accepts(more, ours))
        self.assertTrue(selfcheck._accepts(any_more, more))
        self.assertTrue(selfcheck._accepts(lambda *args, **kwargs: None, more))
        self.assertFalse(selfcheck._accepts(ours, more))


class FutureTest(PlaybookCase):
    TASKS = '  - command: echo {{ item }}\n    loop: [1, 2]\n' * 2

    def future(self, path=None, old=None, new=None):
        other_release(self, FUTURE, path, old, new)

    def told(self):
        return ' '.join(self.output.split())

    def test_one_that_works_is_used_and_checked_once(self):
        self.future()
        calls = self.play(self.TASKS)
        self.assertNotIn('Spindle is not used', self.told())
        self.assertGreater(calls['module'], 10)  # the check's own among them
        self.assertEqual(self.play(self.TASKS)['module'], 4)

    def test_one_that_lacks_what_we_import_goes_the_stock_way(self):
        self.future('executor/module_common.py', r'def recursive_finder\(', 'def find_recursively(')
        self.play(self.TASKS, code=None)  # what Ansible itself makes of it does not matter here
        self.assertEqual(self.told().count('Spindle is not used'), 1, self.output)

    def test_one_that_calls_otherwise_goes_the_stock_way(self):
        self.future('plugins/action/__init__.py', r'def _make_tmp_path\(self, ', 'def _make_tmp_path(self, elsewhere=None, ')
        self.assertEqual(self.play(self.TASKS), {})
        self.assertEqual(self.told().count('ActionBase._make_tmp_path takes other arguments'), 1, self.output)
        self.assertIn('ok=2 changed=2', self.told())

    def test_one_that_fails_the_trial_goes_the_stock_way(self):
        self.future('plugins/action/__init__.py', r'self\._low_level_execute_command\((\s*\w+,\s*sudoable=[^,]+,\s*in_data=)',
                    r'ActionBase._low_level_execute_command(self, \1')
        calls = self.play(self.TASKS)
        self.assertEqual(self.told().count('a small play failed'), 1, self.output)
        self.assertIn('ok=2 changed=2', self.told())
        self.assertEqual(calls['module'], 0)


if __name__ == '__main__':
    unittest.main()
