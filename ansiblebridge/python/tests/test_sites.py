"""What a site has of its own under the names of Ansible's plugins: it counts, and what we assume of Ansible's is not assumed of it."""
import os
import re
import unittest
from unittest import mock

from ansible.plugins.loader import action_loader

from spindle_ansible import action_mixin, fallback, fetch, log, mixins, runtime
from tests.playbook_case import PlaybookCase

CONNECTION = '''
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: ssh
short_description: the site's own way
description: It leads into a container.
options: {}
"""


class Connection(Local):
    transport = 'ssh'

    def exec_command(self, cmd, *args, **kwargs):
        return super().exec_command('ASKED=own; export ASKED; ' + cmd, *args, **kwargs)
'''

STRATEGY = '''
import importlib.util
import os

import ansible.plugins.strategy

# Ansible loads this file by the name of its own.
spec = importlib.util.spec_from_file_location('stock_linear', os.path.join(os.path.dirname(ansible.plugins.strategy.__file__), 'linear.py'))
stock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stock)


class StrategyModule(stock.StrategyModule):
    def _queue_task(self, host, task, task_vars, play_context):
        task_vars['word'] = 'of ' + task.name
        return super()._queue_task(host, task, task_vars, play_context)
'''

ACTION = '''
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def run(self, tmp=None, task_vars=None):
        return dict(super().run(tmp, task_vars), msg='made')
'''


class SitesTest(PlaybookCase):
    def test_a_connection_plugin_of_its_own_is_used(self):
        self.write('connection_plugins/ssh.py', CONNECTION)
        self.play('  - shell: echo asked $ASKED\n  - shell: echo asked $ASKED\n', inventory='one ansible_connection=ssh\n')
        self.assertEqual(self.output.count('"stdout": "asked own"'), 2, self.output)
        self.assertEqual(self.output.count('the connection type ssh is not supported'), 1)

    def test_what_its_own_strategy_makes_of_a_task_is_not_known_ahead(self):
        self.write('strategy/linear.py', STRATEGY)
        places = os.path.join(self.directory, 'strategy') + ':' + self.environ['ANSIBLE_STRATEGY_PLUGINS']
        self.play(''.join('  - {name: t%d, shell: "echo {{ word }}", vars: {more: x}}\n' % n for n in range(6)),
                  inventory='one ansible_connection=local word=before\n', ANSIBLE_STRATEGY_PLUGINS=places)
        self.assertEqual(re.findall(r'"stdout": "(.*?)"', self.output), ['of t%d' % n for n in range(6)], self.output)

    def test_actions_that_are_made_by_the_names_of_their_arguments(self):
        self.write('action_plugins/made.py', ACTION)
        self.play('  - made:\n')
        self.assertIn('"msg": "made"', self.output)

    def test_its_own_fetch_is_as_any_action(self):
        stock = action_loader.get('fetch', class_only=True)
        self.assertIs(mixins.of('fetch', stock), fetch.FetchMixin)
        self.assertIs(mixins.of('mitogen_fetch', type('ActionModule', (stock,), {'_original_path': '/elsewhere'})), fetch.FetchMixin)
        own = type('ActionModule', (stock,), {'_original_path': os.path.join(self.directory, 'action_plugins', 'fetch.py')})
        self.assertIs(mixins.of('fetch', own), action_mixin.ActionMixin)


class RunsTest(unittest.TestCase):
    """Several runs in one process, as ansible-console and other programs have them."""

    def setUp(self):
        for name in ('_run', '_mux'):
            patch = mock.patch.object(runtime, name, None)
            patch.start()
            self.addCleanup(patch.stop)
        self.addCleanup(fallback.end)
        self.addCleanup(log.forget)

    def test_what_ended_one_run_does_not_end_the_next(self):
        first, second = RunsTest('setUp'), RunsTest('setUp')
        dead = runtime._mux = mock.Mock(owner=os.getpid(), **{'process.poll.return_value': -9})
        runtime.begin(first)
        fallback.begin('it has ended')
        with mock.patch.object(log.display, 'warning') as warning:
            for run, told in ((first, 1), (first, 1), (second, 2)):
                runtime.begin(run)
                self.assertEqual(runtime.given_up(), run is first)
                log.warn_once('unavailable', 'it has ended')
                self.assertEqual(warning.call_count, told)
        self.assertIsNone(runtime._mux)
        dead.stop.assert_called_once_with()

    def test_one_that_lives_is_kept(self):
        lives = runtime._mux = mock.Mock(owner=os.getpid(), **{'process.poll.return_value': None})
        for run in RunsTest('setUp'), RunsTest('setUp'):
            runtime.begin(run)
            self.assertIs(runtime._mux, lives)

    def test_a_fork_that_runs_plays_has_its_own(self):
        runtime._mux = mock.Mock(owner=os.getppid())
        with mock.patch.object(runtime.mux_mod, 'find_binary', lambda: 'x'), mock.patch.object(runtime.mux_mod, 'Multiplexer') as made:
            runtime.enter()
            self.addCleanup(runtime.leave)
            self.assertIs(runtime._mux, made.return_value)
