"""Leaner source is the same program, line by line."""
import ast
import glob
import os
import unittest

import ansible

from spindle_ansible import leaner


def dump(content, documents=False):
    """The program with all its positions; of docstrings and documentation, if that is asked for, only where they begin counts."""
    tree = ast.parse(content)
    for node in ast.walk(tree) if documents else ():
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', None) in ('DOCUMENTATION', 'EXAMPLES', 'RETURN'):
            # What is there for ansible-doc must be a text of as many lines, whatever it says.
            node.value.value = '\n' * node.value.value.count('\n')
            if not node.value.value:
                node.end_col_offset = node.value.end_col_offset = 0
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node) is not None:
            node.body[0].value.value = ''
            # Whatever ends with it ends in another column.
            for ending in (node, node.body[0], node.body[0].value):
                ending.end_col_offset = 0
        elif isinstance(node, ast.ClassDef):
            node.end_col_offset = 0
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
                self.assertNotRegex(lean, br'(?m)^(module|short_description):', path)
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
                (b'a\nb\nx = {1:\n"""One"""\n}\n', None),
                (b'a\nb\nx = """\ndef f():\n    \'\'\'One\'\'\'\n"""\n', None)):
            self.assertEqual(leaner.source(given, True), given if wanted is None else wanted)
            self.assertEqual(leaner.source(given), given)
