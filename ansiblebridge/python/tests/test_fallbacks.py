"""What only Python 2 would import is told from the source, and whoever names it gets it."""
import unittest

from spindle_ansible import fallbacks

COPY, ASKS = 'ansible/module_utils/compat/_copy.py', 'ansible/module_utils/compat/selectors.py'
IMPORT = b'from ansible.module_utils.compat import _copy as selectors\n'
TRY = b'try:\n    import selectors as there\nexcept ImportError:\n    there = None\n'
BRANCH = b'if there:\n    selectors = there\nelse:\n    ' + IMPORT


class FallbacksTest(unittest.TestCase):
    def found(self, asks, own=(COPY, ASKS), **more):
        sources = {COPY: b'_copy = 1\n', ASKS: asks}
        sources.update((path + '.py', content) for path, content in more.items())
        return fallbacks.only_python2(sources, set(own))

    def test_what_is_never_reached(self):
        for asks in (
                TRY + BRANCH,
                TRY.replace(b'    there = None', b'    try:\n        import other as there\n    except ImportError:\n        there = None') + BRANCH,
                b'try:\n    import selectors\nexcept ImportError:\n    ' + IMPORT):
            self.assertEqual(self.found(asks), {COPY}, asks)
            self.assertEqual(self.found(asks, own=(COPY,)), set(), 'somebody else asks')
            self.assertEqual(self.found(asks, own=(ASKS,)), set(), 'it is somebody else\'s')
            self.assertEqual(self.found(asks, module=b'from ansible.module_utils.compat import selectors\n'), {COPY})
            for user in (b'from ansible.module_utils.compat import _copy\n', b'import ansible.module_utils.compat._copy\n',
                         b'import_module("ansible.module_utils.compat._copy")\n'):
                self.assertEqual(self.found(asks, module=user), set(), user)
            self.assertEqual(self.found(asks + IMPORT), set(), 'it is imported beside it, too')

    def test_what_may_be_reached(self):
        for asks in (
                IMPORT,
                TRY + BRANCH.replace(b'as selectors', b'as there'),  # it could be, but two give that name a value
                TRY.replace(b'selectors', b'distro') + BRANCH,
                TRY.replace(b'selectors as', b'selectors, distro as') + BRANCH,
                TRY.replace(b'except', b'    import distro\nexcept') + BRANCH,
                b'if x:\n' + b''.join(b'    ' + line for line in TRY.splitlines(True)) + BRANCH,
                TRY + b'there = None\n' + BRANCH,
                TRY + b'from x import there\n' + BRANCH,
                TRY + b'from x import *\n' + BRANCH,
                TRY + b'def f():\n    global there\n    there = 0\n' + BRANCH,
                TRY + BRANCH.replace(b'if there', b'if there and x'),
                TRY + BRANCH.replace(b'if there', b'if not there'),
                TRY + b'if there:\n    ' + IMPORT,
                TRY.replace(b'try:', b'try :\n    x = 1\ntry:').replace(b'    there = None', b'    there = None\nelse:\n    ' + IMPORT),
                TRY + BRANCH.replace(b'from ansible.module_utils.compat', b'from .'),
                TRY + BRANCH + b'print "two"\n'):
            self.assertEqual(self.found(asks), set(), asks)


if __name__ == '__main__':
    unittest.main()
