"""From options and variables to hops."""
import os
import unittest
from unittest import mock

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

from spindle_ansible import hops, settings, sources, via

SSH_KEYS = {
    'check_host_keys', 'compression', 'connect_timeout', 'hostname', 'identities_only', 'identity_file',
    'keepalive_count', 'keepalive_interval', 'password', 'port', 'python_path', 'remote_name', 'ssh_args',
    'ssh_debug_level', 'ssh_path', 'username',
}
SUDO_KEYS = {'connect_timeout', 'password', 'python_path', 'remote_name', 'sudo_args', 'sudo_path', 'username'}


class Plugin(object):
    def __init__(self, **options):
        self.options = options

    def get_option(self, name):
        return self.options[name]


class PlayContext(object):
    remote_addr = '192.0.2.1'
    remote_user = None
    password = None
    port = None
    timeout = 10
    private_key_file = None
    become_pass = None


def connection(method='ssh', become=None, **options):
    made = Plugin(**options)
    made.spindle_method = method
    made.become = become
    made._play_context = PlayContext()
    made._shell = Plugin(remote_tmp='~/.ansible/tmp', system_tmpdirs=['/var/tmp', '/tmp'])
    return made


class SettingsTest(unittest.TestCase):
    def hops(self, conn, variables=None):
        variables = dict({'ansible_python_interpreter': '/usr/bin/python3'}, **(variables or {}))
        return via.way(sources.Target(conn, variables, None), settings.Interpreter(variables, None), conn._shell, None)

    def test_ssh_has_the_documented_keys_and_defaults(self):
        hop, = self.hops(connection(host='web1', remote_user='deploy', port=2222, timeout=30, host_key_checking=True,
                                    ssh_args='-C -o ControlMaster=auto', ssh_extra_args='-o "A b"',
                                    ssh_executable='ssh', private_key_file='~/key'))
        self.assertEqual(set(hop['kwargs']), SSH_KEYS)
        kwargs = hop['kwargs']
        self.assertEqual(kwargs['ssh_args'], ['-C', '-o', 'ControlMaster=auto', '-o', 'A b'])
        self.assertEqual((kwargs['keepalive_interval'], kwargs['keepalive_count']), (30, 10))
        self.assertEqual((kwargs['check_host_keys'], kwargs['compression']), ('enforce', True))
        self.assertEqual(kwargs['identity_file'], os.path.expanduser('~/key'))
        self.assertEqual((kwargs['hostname'], kwargs['port'], kwargs['username']), ('web1', 2222, 'deploy'))
        self.assertEqual(kwargs['python_path'], ['/usr/bin/python3'])
        self.assertIsNone(kwargs['password'])
        self.assertIsNone(kwargs['remote_name'])

    def test_control_path_is_what_ansible_makes_of_it(self):
        """It names a connection that is there already, and only where Ansible's own would use it."""
        keeps = '-C -o ControlMaster=auto -o ControlPersist=60s'
        home = os.path.realpath(os.path.expanduser('~'))
        for path, directory, args, wanted in (
                ('/run/%%h-%%p-%%r', None, keeps, '/run/%h-%p-%r'),
                ('%(directory)s/%%h-%%r', None, keeps, home + '/.ansible/cp/%h-%r'),
                ('%(directory)s/%%C', '~/cp', '-oControlPersist=yes', home + '/cp/%C'),
                ('/run/one', None, keeps, '/run/one'),
                ('/run/%h-%p-%r', None, keeps, '/run/%h-%p-%r'),  # as Ansible cannot read it
                ('%(dir)s/x', None, keeps, '%(dir)s/x'),
                ('/run/one', None, '-C', None),
                ('/run/one', None, keeps + ' -o controlpath=/run/two', None),
                ('', None, keeps, None),
                (None, None, keeps, None)):
            hop, = self.hops(connection(host='web1', ssh_args=args, control_path=path, control_path_dir=directory))
            self.assertEqual(hop['kwargs'].get('control_path'), wanted, path)
            self.assertEqual(hop['kwargs']['ssh_args'], args.split(), 'ssh is not told of it here')

    def test_the_multiplexer_has_the_time_that_the_user_gives_ssh(self):
        for args, wanted in (('', 10), ('-o ConnectTimeout=60', 61), ('-o ConnectTimeout=20m', 1201), ('-oconnecttimeout=1h30m', 5401),
                             ('-o ConnectionAttempts=100', 1100), ('-o "ConnectTimeout 2" -o ConnectionAttempts=1000', 3000),
                             ('-o ConnectTimeout=none', 10)):
            way = self.hops(connection(host='web1', timeout=10, ssh_args=args))
            self.assertEqual((hops.seconds(way), hops.patience(way)), (wanted, 600), args)
        way = self.hops(connection('docker', timeout=10))
        self.assertEqual((hops.seconds(way), hops.patience(way)), (10, 0))

    def test_local_has_only_its_python(self):
        hop, = self.hops(connection('local'), {'ansible_python_interpreter': '/usr/bin/env FOO=1 python'})
        self.assertEqual(hop['kwargs'], {'python_path': ['/usr/bin/env', 'FOO=1', 'python']})
        self.assertEqual(hop['python'], ['/usr/bin/env FOO=1 python'])

    def test_sudo_comes_behind_the_login_hop(self):
        become = Plugin(become_user=None, become_pass='s3cret', become_exe=None, become_flags='-H -S -n')
        become.name = 'sudo'
        login, sudo = self.hops(connection(become=become, remote_user='deploy'))
        self.assertEqual((login['method'], sudo['method']), ('ssh', 'sudo'))
        self.assertEqual(set(sudo['kwargs']), SUDO_KEYS)
        self.assertEqual((sudo['kwargs']['username'], sudo['kwargs']['sudo_path']), ('root', 'sudo'))
        self.assertEqual(sudo['kwargs']['sudo_args'], ['-H', '-S', '-n'])
        self.assertEqual(sudo['kwargs']['password'], 's3cret')

    def test_becoming_who_one_is_needs_no_hop(self):
        become = Plugin(become_user='deploy')
        become.name = 'sudo'
        self.assertEqual(len(self.hops(connection(become=become, remote_user='deploy'))), 1)
        self.assertEqual(len(self.hops(connection(become=become, remote_user='other'))), 2)
        self.assertEqual(len(self.hops(connection(become=become, remote_user=None))), 2)
        with mock.patch.object(hops.C, 'BECOME_ALLOW_SAME_USER', True):
            self.assertEqual(len(self.hops(connection(become=become, remote_user='deploy'))), 2)

    def test_compression_is_strict(self):
        for given, wanted in (('yes', True), ('no', False), ('0', False), (False, False), ('true', True)):
            self.assertEqual(settings.compression(given), wanted)
        with self.assertRaisesRegex(AnsibleConnectionFailure, "expected yes/no/true/false/0/1, got 'maybe'"):
            settings.compression('maybe')

    def test_keepalive_of_nothing_is_the_default(self):
        hop, = self.hops(connection(), {'mitogen_ssh_keepalive_interval': '0', 'mitogen_ssh_keepalive_count': '3'})
        self.assertEqual((hop['kwargs']['keepalive_interval'], hop['kwargs']['keepalive_count']), (30, 3))

    def test_a_heartbeat_is_what_the_user_says(self):
        hop = self.hops(connection())[0]
        self.assertNotIn('heartbeat', hop)
        for given, want in (({'interval': '5'}, (5, 10)), ({'count': 2}, (30, 2)), ({'interval': 1, 'count': 4}, (1, 4))):
            variables = dict(('mitogen_ssh_keepalive_' + k, v) for k, v in given.items())
            hop = self.hops(connection(), variables)[0]
            self.assertEqual((hop['heartbeat']['seconds'], hop['heartbeat']['count']), want)
        for bad in ('soon', -1):
            with self.assertRaisesRegex(AnsibleConnectionFailure, 'mitogen_ssh_keepalive_count is'):
                self.hops(connection(), {'mitogen_ssh_keepalive_count': bad})

    def test_a_masked_name(self):
        hop, = self.hops(connection(), {'mitogen_mask_remote_name': True})
        self.assertEqual((hop['kwargs']['remote_name'], hop['title']), ('ansible', 'mitogen:ansible'))
        for value in (None, False, 'no', 'false'):
            hop, = self.hops(connection(), {'mitogen_mask_remote_name': value})
            self.assertIsNone(hop['kwargs']['remote_name'])
            self.assertRegex(hop['title'], '^mitogen:.+@.+:[0-9]+$')

    def test_auto_tries_the_fallback_list(self):
        variables = {'ansible_python_interpreter': 'auto_silent', 'ansible_facts': {
            'discovered_interpreter_python': '/opt/python'}}
        python = settings.Interpreter(variables, None)
        self.assertTrue(python.auto)
        self.assertEqual(python.mode, 'auto_silent')
        self.assertEqual(python.discovered, '/opt/python')
        self.assertIn('/usr/bin/python3', python.candidates)
        self.assertEqual(sorted(python.candidates), sorted(python.candidates_listed))
        self.assertIsNone(python.argv)

    def test_windows_shells_and_foreign_becomes_are_left_alone(self):
        from spindle_ansible import connection as connection_mod

        class Stock(ConnectionBase):
            become = None
            _shell = None
            transport = 'stock'

            def __init__(self):
                pass
            exec_command = put_file = fetch_file = close = _connect = None
        made = connection_mod.class_for(Stock, 'local')()
        self.assertIsNone(made.spindle_unsupported({}))
        made.become = mock.Mock()
        made.become.name = 'runas'
        self.assertEqual(made.spindle_unsupported({})[0], 'become:runas')
        made.become.name = 'community.general.pbrun'
        self.assertIsNone(made.spindle_unsupported({}))
        made.spindle_step_aside()
        self.assertIs(type(made), Stock)

    def test_passwords_for_other_prompts_are_left_to_ansible(self):
        """A passphrase or a PIN is none of the server's business."""
        from ansible.plugins.loader import connection_loader
        from spindle_ansible import connection as connection_mod

        stock = type(connection_loader).get_with_context(connection_loader, 'ssh', class_only=True).object
        for given, typed, wanted in (
                ({'password': 'p', 'sshpass_prompt': 'Enter passphrase for key'}, None, 'option:sshpass_prompt'),
                ({'sshpass_prompt': 'Enter passphrase for key'}, 'typed', 'option:sshpass_prompt'),
                ({'password': '1234', 'pkcs11_provider': '/p.so'}, None, 'option:pkcs11_provider'),
                ({'pkcs11_provider': '/p.so'}, '1234', 'option:pkcs11_provider'),
                ({'sshpass_prompt': 'Enter passphrase for key', 'pkcs11_provider': '/p.so'}, None, None),
                ({'password': 'p', 'sshpass_prompt': '', 'pkcs11_provider': None}, None, None),
                ({'password': 'p'}, 'typed', None)):
            made = connection_mod.class_for(stock, 'ssh').__new__(connection_mod.class_for(stock, 'ssh'))
            made.become, made._shell, made._play_context = None, None, PlayContext()
            made._play_context.password = typed
            made.get_option = given.__getitem__
            self.assertEqual((made.spindle_unsupported({}) or [None])[0], wanted, given)

    def test_a_connection_answers_to_all_its_names(self):
        from spindle_ansible import connection as connection_mod

        class Stock(ConnectionBase):
            transport = 'stock'

            def __init__(self):
                pass
        made = connection_mod.class_for(Stock, 'ssh')()
        for name in ('ssh', 'smart', 'ansible.builtin.ssh', 'ansible.legacy.ssh', 'mitogen_ssh'):
            self.assertTrue(made.matches_name([name]), name)
        for name in ('local', 'community.docker.docker', 'foo.bar.ssh'):
            self.assertFalse(made.matches_name([name]), name)
        self.assertFalse(made.connected)


if __name__ == '__main__':
    unittest.main()
