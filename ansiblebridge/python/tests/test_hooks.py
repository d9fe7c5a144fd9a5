"""The hooks: in place while a strategy of ours runs, and no trace of them behind it."""
import os
import unittest
from unittest import mock

from ansible.executor.process.worker import WorkerProcess
from ansible.playbook.play_context import PlayContext
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import action_loader, connection_loader

try:
    from ansible.plugins.loader import init_plugin_loader
    init_plugin_loader()
except ImportError:
    pass

from tests.support import ROOT
from spindle_ansible import action_mixin, connection, discovery, fetch, loaders, methods, prewarm, runtime


def play_context(name):
    made = PlayContext()
    made.connection = name
    made.remote_addr = 'web1'
    return made


class HooksTest(unittest.TestCase):
    def setUp(self):
        self.before = (connection_loader.get_with_context, action_loader.get_with_context, WorkerProcess.run)
        patch = mock.patch.object(runtime, 'active', lambda: True)
        patch.start()
        self.addCleanup(patch.stop)
        self.hooks = loaders.Hooks()
        self.hooks.install()
        self.addCleanup(self.hooks.remove)

    def get(self, name, own=None):
        return connection_loader.get(name, play_context(own or name), None)

    def action(self, name, conn):
        task = mock.Mock(action=name, async_val=0, delegate_to=None)
        return action_loader.get(name, task=task, connection=conn, play_context=play_context('ssh'), loader=mock.Mock(),
                                 templar=mock.Mock(), shared_loader_obj=mock.Mock())

    def test_they_leave_no_trace(self):
        self.hooks.remove()
        after = (connection_loader.get_with_context, action_loader.get_with_context, WorkerProcess.run)
        self.assertEqual(after, self.before)
        self.assertNotIn('get_with_context', connection_loader.__dict__)
        self.assertNotIn('get_with_context', action_loader.__dict__)
        self.assertFalse(connection.is_ours(self.get('ssh')))

    def test_connections_are_taken_over_under_all_their_names(self):
        for name in ('ssh', 'ansible.builtin.ssh', 'ansible.legacy.ssh', 'local', 'ansible.builtin.local'):
            made = self.get(name)
            short = name.rpartition('.')[2]
            self.assertTrue(connection.is_ours(made), name)
            self.assertEqual((made.transport, made._load_name, made.spindle_method), (short, short, short))
            self.assertTrue(made.matches_name([name]))

    def test_they_look_like_the_stock_ones(self):
        made = self.get('ssh')
        self.assertTrue(issubclass(type(made), connection_loader.get('ssh', class_only=True)))
        self.assertEqual(type(made).__name__, 'Connection')
        self.assertTrue(made.has_option('ssh_args'))
        if hasattr(made, 'ansible_name'):
            self.assertEqual(made.ansible_name, 'ansible.builtin.ssh')
        self.assertTrue(callable(made._create_control_path))

    def test_docker_is_named_to_who_asks(self):
        connection_loader.add_directory(os.path.join(ROOT, 'plugins', 'connection'))
        made = self.get('docker')
        self.assertEqual(made.docker_cmd, 'docker')
        made.spindle.begin({'mitogen_docker_path': '/opt/docker'}, None, None, '/')
        self.assertEqual(made.docker_cmd, '/opt/docker')

    def test_inner_connections_of_network_plugins_stay_stock(self):
        self.assertFalse(connection.is_ours(self.get('local', own='ansible.netcommon.network_cli')))

    def test_other_connections_stay_stock(self):
        self.assertIsNone(self.get('nonexistent'))
        self.assertFalse(connection.is_ours(connection_loader.get('ssh', class_only=True)))

    def test_nothing_is_taken_over_without_a_multiplexer(self):
        with mock.patch.object(runtime, 'active', lambda: False):
            self.assertFalse(connection.is_ours(self.get('ssh')))

    def test_actions_follow_their_connection(self):
        ours, stock = self.get('ssh'), self.hooks.connections('ssh', play_context('ssh'), None).object
        self.assertIsInstance(self.action('copy', ours), action_mixin.ActionMixin)
        self.assertNotIsInstance(self.action('copy', stock), action_mixin.ActionMixin)
        self.assertIs(type(self.action('copy', ours)), type(self.action('ansible.builtin.copy', ours)))
        self.assertTrue(self.action('copy', ours).TRANSFERS_FILES)
        self.assertIsNone(self.action('nonexistent', ours))

    def test_fetch_is_shown_no_become(self):
        ours = self.get('ssh')
        made = self.action('ansible.builtin.fetch', ours)
        self.assertIsInstance(made, fetch.FetchMixin)
        ours.become = object()
        view = fetch._WithoutBecome(ours)
        self.assertIsNone(view.become)
        self.assertEqual(view.transport, 'ssh')
        view._connected = 'yes'
        self.assertEqual(ours._connected, 'yes')

    def test_instances_can_change_over_to_stock(self):
        ours = self.get('ssh')
        stock = self.hooks.connections('ssh', class_only=True).object
        ours.spindle_step_aside()
        self.assertIs(type(ours), stock)
        self.assertFalse(ours.connected)
        made = self.action('copy', self.get('ssh'))
        made.__class__ = made.spindle_stock
        self.assertNotIsInstance(made, action_mixin.ActionMixin)
        self.assertIsInstance(made, ActionBase)

    def test_a_worker_does_not_collect_garbage(self):
        seen = []
        with mock.patch.object(loaders.gc, 'disable', lambda: seen.append('disabled')):
            wrapped = loaders._run_worker(lambda self: seen.append('ran') or 7, os.getppid())
            self.assertEqual(wrapped(None), 7)
        self.assertEqual(seen, ['disabled', 'ran'])


class PrewarmTest(unittest.TestCase):
    def test_modules_of_actions(self):
        self.assertEqual(prewarm.modules_of('ansible.builtin.shell', {}), ['ansible.legacy.command'])
        self.assertEqual(prewarm.modules_of('community.general.ini_file', {}), ['community.general.ini_file'])
        self.assertEqual(prewarm.modules_of('package', {'ansible_facts': {'pkg_mgr': 'apt'}}), ['ansible.legacy.apt'])
        self.assertEqual(prewarm.modules_of('package', {}), ['ansible.legacy.setup'])

    def test_actions_without_a_connection(self):
        self.assertFalse(methods.needs_connection('ansible.builtin.debug'))
        self.assertTrue(methods.needs_connection('command'))
        self.assertTrue(methods.needs_connection('my.collection.debug'))


class DiscoveryTest(unittest.TestCase):
    def setUp(self):
        self.action = mock.Mock()
        self.session = mock.Mock()
        self.session.login.hello = {'python': '/usr/bin/python3.13'}
        self.session.interpreter.return_value.candidates_listed = ['python3.13', '/usr/bin/python3']
        self.answerer = discovery.Answerer(self.action, self.session)

    def test_newer_versions_are_answered_from_the_hello(self):
        with mock.patch.object(discovery, '_platform_script', lambda: None):
            answer = self.answerer._low_level_execute_command('echo FOUND; command -v x; echo ENDFOUND')
        self.assertEqual(answer['stdout'], 'FOUND\n/usr/bin/python3.13\nENDFOUND\n')
        self.action._low_level_execute_command.assert_not_called()

    def test_older_versions_get_both_answers_by_one_command(self):
        self.action._low_level_execute_command.return_value = {
            'stdout': 'PLATFORM\nLinux\nFOUND\n/usr/bin/python3\nENDFOUND\n%s\n{"a": 1}\n' % discovery._MARK,
            'stderr': ''}
        with mock.patch.object(discovery, '_platform_script', lambda: b'script'):
            first = self.answerer._low_level_execute_command('echo PLATFORM; echo ENDFOUND', sudoable=False)
            second = self.answerer._low_level_execute_command('/usr/bin/python3', sudoable=False, in_data=b'script')
        self.assertTrue(first['stdout'].endswith('ENDFOUND\n'))
        self.assertEqual(second['stdout'], '{"a": 1}\n')
        self.assertEqual(self.action._low_level_execute_command.call_count, 1)
        self.assertEqual(self.action._low_level_execute_command.call_args[1]['in_data'], b'script')


if __name__ == '__main__':
    unittest.main()
