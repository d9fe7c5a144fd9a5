"""Leaner source is the same program, line by line."""
import ast
import glob
import os
import unittest

import ansible

from spindle_ansible import leaner


def texts(tree):
    """The statements that are only a string."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(getattr(node.value, 'value', None), str)]


def dump(content, documents=False):
    """The program with all its positions; of docstrings and documentation, if that is asked for, only the lines count."""
    tree = ast.parse(content)
    if documents:
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', None) in ('DOCUMENTATION', 'EXAMPLES', 'RETURN'):
                # What is there for ansible-doc must be a text of as many lines, whatever it says.
                if node.lineno == node.end_lineno:
                    node.end_col_offset = node.value.end_col_offset = 0
                node.value.value = ''
            elif hasattr(node, 'body'):
                node.end_col_offset = 0  # where its last statement ends, which may be a text
        for node in texts(tree):
            # A docstring must be there, whatever it says.
            node.value.value = node.value.value[:1] and '-'
            node.end_col_offset = node.value.end_col_offset = 0
    return ast.dump(tree, include_attributes=True)


class LeanerTest(unittest.TestCase):

    def test_what_goes_and_what_stays(self):
        for given, wanted in (
                (b'', b''),
                (b'# one', b'# one'),
                (b'#!/usr/bin/python\n# -*- coding: latin-1 -*-\n# gone\nx = 1  # stays\n',
                 b'#!/usr/bin/python\n# -*- coding: latin-1 -*-\n\nx = 1  # stays\n'),
                (b'a\nb\n    # gone\n\t# gone\nc', b'a\nb\n\n\nc'),
                (b'a\nb\nx = """\n# stays\n\\"""\n# stays\n"""\n# gone\n', b'a\nb\nx = """\n# stays\n\\"""\n# stays\n"""\n\n'),
                (b"a\nb\nx = r'''\n# stays\n'''\n# it's gone\ny = '#'\n", b"a\nb\nx = r'''\n# stays\n'''\n\ny = '#'\n"),
                (b'a\nb\nx = "\\"# \'"  # it\'s\n# gone\n', b'a\nb\nx = "\\"# \'"  # it\'s\n\n'),
                (b'"""Begins early\n\n# stays\n"""\n# gone\nx = 1\n', b'"""Begins early\n\n# stays\n"""\n\nx = 1\n'),
                (b'# coding: latin-1\n"""Early\n# stays"""\n# gone\n', b'# coding: latin-1\n"""Early\n# stays"""\n\n'),
                (b'a\nb\nx = (1,\n     # gone\n     2)\n', b'a\nb\nx = (1,\n\n     2)\n')):
            self.assertEqual(leaner.source(given), wanted)

    def test_all_that_ansible_sends_stays_the_same_program(self):
        base = os.path.dirname(ansible.__file__)
        given = leaned = 0
        for part in ('module_utils', 'modules'):
            for path in glob.glob(os.path.join(base, part, '**', '*.py'), recursive=True):
                with open(path, 'rb') as f:
                    content = f.read()
                self.assertEqual(dump(leaner.source(content)), dump(content), path)
                lean = leaner.source(content, True)
                self.assertEqual(dump(lean, True), dump(content, True), path)
                self.assertNotRegex(lean, br'(?m)^(module|short_description|cache_updated):', path)
                longest = max([len(node.value.value.strip()) for node in texts(ast.parse(lean))], default=0)
                self.assertLess(longest, 100, path)  # few are in plain quotes
                given += len(content)
                leaned += len(lean)
        self.assertLess(leaned, given * 0.7)

    def test_docstrings(self):
        for given, wanted in (
                (b'a\nb\ndef f():\n    """One."""\n', b'a\nb\ndef f():\n    """-"""\n'),
                (b"a\nb\nclass A(B):  # so\n    r'''One.\n\n    # two\n    '''\n    x = 1\n",
                 b"a\nb\nclass A(B):  # so\n    r'''-\n\n\n'''\n    x = 1\n"),
                (b'a\nb\nasync def f(\n    x\n) -> int:\n    """One"""  \n', b'a\nb\nasync def f(\n    x\n) -> int:\n    """-"""  \n'),
                (b"a\nb\nRETURN = r'''#'''\n", b"a\nb\nRETURN = r''''''\n"),
                (b'a\nb\nEXAMPLES = """\n- \'\'\' # x\n"""\nx = 1\n', b'a\nb\nEXAMPLES = """\n\n"""\nx = 1\n'),
                (b'a\nb\nRETURN = """x""" % 1\n', None),
                (b'a\nb\nif a:\n    RETURN = """x"""\n', None),
                (b'a\nb\ndef f():\n    """%s""" % x\n\n\ny = """z\n"""\n', None),
                (b'a\nb\ndef f():\n    x = """One"""\n', None),
                (b'a\nb\ndef f(x,\n      y):\n    """One"""\n', b'a\nb\ndef f(x,\n      y):\n    """-"""\n'),
                (b'"""One\ntwo."""\nx = 1\n"""What x is."""  # so\n', b'"""-\n"""\nx = 1\n"""-"""  # so\n'),
                (b"a\nb\nRETURN = r'''#'''  # NOQA\n", b"a\nb\nRETURN = r''''''  # NOQA\n"),
                (b'a\nb\nx = \\\n"""One"""\n', None),
                (b'a\nb\nx = ("a"\n"""One"""\n"""Two"""\n)\n', None),
                (b'a\nb\nx = [f(1,\n"""One"""\n), {"b":\n"""Two"""\n}]\n', None),
                (b'a\nb\n"""One""" % x\n', None),
                (b'a\nb\n}\n"""One"""\n', None),
                (b'a\nb\nx = {1:\n"""One"""\n}\n', None),
                (b'a\nb\nx = """\ndef f():\n    \'\'\'One\'\'\'\n"""\n', None)):
            self.assertEqual(leaner.source(given, True), given if wanted is None else wanted)
            self.assertEqual(leaner.source(given), given)
        self.assertEqual(leaner.source(b'a\nb\ndef f():\n    # one\n\n    """One"""\n', True), b'a\nb\ndef f():\n\n\n    """-"""\n')
        self.assertEqual(leaner.source(b'a\nb\nx = ")"  # (\n# (\n"""One"""\n', True), b'a\nb\nx = ")"  # (\n\n"""-"""\n')
