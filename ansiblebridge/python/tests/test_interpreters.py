"""Which modules run in the agent's process, by the interpreter that they name and the variables that they are given."""
import unittest
from unittest import mock

from spindle_ansible import action_mixin


class InterpretersTest(unittest.TestCase):
    def mixin(self, **hello):
        made = object.__new__(action_mixin.ActionMixin)
        made._connection = mock.Mock()
        made._connection.spindle.context.return_value.hello = hello
        return made

    def test_only_the_agents_own_interpreter(self):
        made = self.mixin(pythons=['/usr/bin/python3', '/usr/bin/env python3'])

        def fits(line, variables=(), environment=()):
            words = line.split()
            return made._spindle_python(mock.Mock(interpreter=words[0], arguments=words[1:]), dict.fromkeys(variables, 'x'), dict.fromkeys(environment, 'x'))
        for line in ('/usr/bin/python', '/opt/bin/python', '/usr/bin/python3', '/usr/bin/env python3'):
            self.assertTrue(fits(line), line)
        for line in ('/usr/bin/python -S', '/usr/bin/python3 -E', '/usr/bin/python2.7', '/usr/bin/python3.99', '/usr/local/bin/python3', '/usr/bin/env python2', '/usr/bin/env -S python3',
                     '/usr/bin/perl'):
            self.assertFalse(fits(line), line)
        self.assertFalse(fits('/usr/bin/python3', ['ansible_python3_interpreter']))
        self.assertFalse(fits('/usr/bin/env python3', environment=['PATH']))
        self.assertTrue(fits('/usr/bin/python3', environment=['PATH']))
        self.assertFalse(self.mixin()._spindle_python(mock.Mock(interpreter='/usr/bin/python3', arguments=[]), {}, {}))
        for configured, by_path in (('python3', True), ('/usr/bin/env python3', True), ('env python3', True), ('/usr/bin/python3', False), ('auto', False)):
            made._templar = None
            chosen = {'ansible_python_interpreter': configured}
            of_modules = mock.Mock(interpreter='/usr/bin/python', arguments=[])
            self.assertTrue(made._spindle_python(of_modules, chosen, {'HOME': 'x'}))
            self.assertEqual(made._spindle_python(of_modules, chosen, {'PATH': 'x'}), not by_path, configured)

    def test_variables_that_are_read_once(self):
        for name, wanted in (('PYTHONPATH', True), ('LD_PRELOAD', True), ('PYTHONUNBUFFERED', False), ('SOME', False)):
            self.assertEqual(self.mixin(encoding='utf-8')._spindle_starts_otherwise({name: 'x'}), wanted, name)

    def test_languages(self):
        for encoding, values, wanted in (
                ('utf-8', ('C', 'POSIX', '', 'C.UTF-8', 'de_DE.utf8', 'ca_ES.UTF-8@valencia'), False),
                ('UTF-8', ('C.UTF-8',), False),
                ('utf-8', ('de_DE.ISO-8859-1', 'de_DE@euro', 'de_DE', None), True),
                ('ascii', ('C', 'POSIX', ''), False),
                ('ANSI_X3.4-1968', ('C.UTF-8', 'de_DE'), True),
                (None, ('C.UTF-8',), True)):
            for value in values:
                for name in ('LC_ALL', 'LC_CTYPE', 'LANG'):
                    self.assertEqual(self.mixin(encoding=encoding)._spindle_starts_otherwise({name: value}), wanted, (encoding, name, value))
        self.assertFalse(self.mixin()._spindle_starts_otherwise({'LC_TIME': 'de_DE'}))

    def test_no_language_where_the_agent_has_one(self):
        for mode, coerces, environment, wanted in (
                (0, True, {'LC_ALL': 'C'}, True),
                (0, True, {'LC_ALL': 'POSIX', 'LANG': 'C.UTF-8'}, True),
                (0, True, {'LC_ALL': 'C.UTF-8', 'LANG': 'C'}, False),
                (0, True, {'LC_ALL': ''}, False),
                (0, True, {'LC_CTYPE': 'C', 'LANG': 'POSIX'}, False),
                (0, False, {'LC_CTYPE': 'C'}, True),
                (0, False, {'LC_ALL': '', 'LANG': 'POSIX'}, True),
                (0, False, {'LC_CTYPE': 'C.UTF-8', 'LANG': 'C'}, False),
                (0, False, {'LC_COLLATE': 'C'}, False),
                (1, False, {'LC_ALL': 'C'}, False),
                (None, False, {'LC_ALL': 'C'}, False)):
            made = self.mixin(encoding='utf-8', utf8_mode=mode, coerces=coerces)
            self.assertEqual(made._spindle_starts_otherwise(environment), wanted, (mode, coerces, environment))


class HomesTest(unittest.TestCase):
    def home(self, path='~', sudoable=True, become=None, user=None, **hello):
        made = object.__new__(action_mixin.ActionMixin)
        made._connection = mock.Mock(become=None)  # as what fetch shows to Ansible's own
        made._connection.spindle.context.return_value.hello = hello
        made._connection.spindle.source.return_value = mock.Mock(
            become=become, become_option=lambda name: become, remote_user=lambda: user)
        made._spindle_bare = lambda: False
        return made._remote_expand_user(path, sudoable)

    def test_a_name_counts_more_than_the_environment(self):
        self.assertEqual(self.home(home='/root', env_home='/data'), '/data')
        self.assertEqual(self.home('~/x', home='/root', env_home='/data/'), '/data/x')
        self.assertEqual(self.home(home='/root', env_home='/data', user='root'), '/root')
        self.assertEqual(self.home(home='/root', env_home='/data', become='root'), '/root')
        self.assertEqual(self.home(home='/root', env_home='/data', become='root', sudoable=False), '/data')
        self.assertEqual(self.home(home='/root', env_home=None), '/root')
        self.assertEqual(self.home(home='/root'), '/root')
        self.assertEqual(self.home(home='/', user='x'), '/')
        self.assertEqual(self.home('~/x', home='/', user='x'), '/x')
        self.assertEqual(self.home('x'), 'x')
