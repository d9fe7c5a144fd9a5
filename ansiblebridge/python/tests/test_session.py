"""Sessions: what goes to the multiplexer when, and what comes of its answers."""
import json
import os
import re
import shutil
import tempfile
import unittest
from unittest import mock

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound, AnsibleModuleError
from ansible.plugins.connection import ConnectionBase

from spindle_ansible import accounts
from spindle_ansible import client as client_mod
from spindle_ansible import connection as connection_mod
from spindle_ansible import files
from spindle_ansible import runtime
from spindle_ansible import session as session_mod
from spindle_ansible import texts
from spindle_ansible import wire
from tests.support import ROOT


class Stock(ConnectionBase):
    """A stock connection plugin, as far as one is looked at."""

    transport = 'local'

    def __init__(self):
        self.become = None
        self.default_user = 'me'
        self._play_context = mock.Mock(remote_addr='web1', remote_user=None, timeout=10, password=None)
        self._shell = mock.Mock(_IS_WINDOWS=False, **{'get_option.side_effect': KeyError})

    def get_option(self, name):
        raise KeyError(name)

    exec_command = put_file = fetch_file = close = _connect = None


class FakeClient(object):
    """Remembers calls, and answers them."""

    def __init__(self):
        self.alive = True
        self.calls = []
        self.limits = []
        self.answers = {}

    def call(self, op, context='', meta=None, parts=(), closure=b'', timeout_ms=0, noreply=False, seconds=None, patience=0):
        self.calls.append((op, context, json.loads(json.dumps(meta)), [bytes(part) for part in parts], noreply))
        self.limits.append((op, seconds))
        answer = self.answers.get(op)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            self.alive = not isinstance(answer, client_mod.ClientError)
            raise answer
        if answer is not None:
            return answer
        if op == 'connect':
            hello = {'python': '/usr/bin/python3', 'tmp': '/var/tmp', 'home': '/home/me'}
            names = ['c%d' % n for n in range(len(meta['hops']))]
            return result(json.dumps({'context': names[-1], 'hello': hello,
                                      'login': {'context': names[0], 'hello': hello}}).encode())
        return result(b'[null]')

    def ops(self):
        return [call[0] for call in self.calls]


def result(out=b'', status=wire.OK, rc=0, text='', err=b''):
    return client_mod.Result(status, rc, 0, text, out, err)


class SessionCase(unittest.TestCase):
    """A session that speaks to a FakeClient."""

    def setUp(self):
        self.client = FakeClient()
        patch = mock.patch.object(runtime, 'client', lambda: self.client)
        patch.start()
        self.addCleanup(patch.stop)
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        patch = mock.patch.object(session_mod.C, 'DEFAULT_LOCAL_TMP', self.directory)
        patch.start()
        self.addCleanup(patch.stop)
        self.connection = connection_mod.class_for(Stock, 'local')()
        self.session = self.connection.spindle
        self.begin()

    def begin(self, **variables):
        variables.setdefault('ansible_python_interpreter', '/usr/bin/python3')
        self.session.begin(variables, None, None, '/usr')


class SessionTest(SessionCase):
    def test_a_way_is_asked_for_in_words_that_the_multiplexer_knows(self):
        with open(os.path.join(ROOT, '..', 'ops.go')) as f:
            known = re.findall('json:"([a-z]+)"', f.read())
        for bare in (False, True):
            self.session.forget()
            self.session.ensure(bare)
            op, _, meta, _, _ = self.client.calls[-1]
            self.assertEqual((op, sorted(set(meta) - set(known))), ('connect', []))

    def become(self, user='root'):
        self.connection.become = mock.Mock()
        self.connection.become.name = 'sudo'
        options = {'become_user': user, 'become_flags': None, 'become_pass': None, 'become_exe': None}
        self.connection.become.get_option.side_effect = options.__getitem__

    def local_file(self, size):
        path = os.path.join(self.directory, 'file')
        with open(path, 'wb') as f:
            f.write(b'x' * size)
        os.chmod(path, 0o750)
        os.utime(path, (11, 22))
        return path

    def test_a_discovered_python_that_is_not_there(self):
        """It was another machine's: the task fails as Ansible has it, and the host stays."""
        def hello(**more):
            return result(json.dumps({'context': 'c', 'hello': dict({'tmp': '/tmp', 'home': '/'}, **more)}).encode())
        self.begin(ansible_python_interpreter='auto_silent', ansible_facts={'discovered_interpreter_python': '/usr/bin/python9'})
        missing = result(status=wire.UNREACHABLE, text='No usable Python was found on the target')
        self.client.answers['connect'] = [hello(python='/usr/bin/python3'), missing]
        with self.assertRaises(AnsibleConnectionFailure):
            self.session.ensure()
        self.client.answers['connect'] = [hello(python='/usr/bin/python3'), hello(bare=True)]
        self.assertTrue(self.session.is_bare())
        self.assertEqual(self.client.calls[-1][2]['hops'][-1]['python'], ['/usr/bin/python9'])
        self.assertTrue(self.client.calls[-1][2]['bare'])

    def test_a_local_connection_tells_who_it_is(self):
        self.session.ensure()
        self.assertEqual(self.connection._play_context.remote_user, 'me')

    def test_items_share_a_connection(self):
        for _ in range(3):
            self.begin()
            self.connection.exec_command('id', sudoable=False)
        self.assertEqual(self.client.ops(), ['connect', 'exec', 'exec', 'exec'])
        with mock.patch('spindle_ansible.compat.tells_become', lambda: True):
            self.assertTrue(self.connection.connected)

    def test_items_do_not_share_one_that_is_not_told_of_their_become(self):
        self.connection.exec_command('id', sudoable=False)
        with mock.patch('spindle_ansible.compat.tells_become', lambda: False):
            self.assertFalse(self.connection.connected)
        with mock.patch('spindle_ansible.compat.tells_become', lambda: True):
            self.assertTrue(self.connection.connected)

    def test_other_settings_are_another_connection(self):
        self.connection.exec_command('id')
        self.become()
        self.begin()
        self.connection.exec_command('id')
        self.connection.exec_command('id', sudoable=False)
        self.assertEqual([(op, context) for op, context, _, _, _ in self.client.calls],
                         [('connect', ''), ('exec', 'c0'), ('connect', ''), ('exec', 'c1'), ('exec', 'c0')])
        self.assertEqual(self.client.calls[2][2]['hops'][1]['kwargs']['username'], 'root')

    def test_what_is_queued_rides_in_the_next_call(self):
        path = self.local_file(10)
        self.session.queue_op(files.mkdir('/t/dir', temp=True))
        self.connection.put_file(path, '/t/dir/source')
        self.session.queue_op(files.chmod('/t/dir/source', 'u+x'))
        self.assertEqual(self.client.ops(), ['connect'])
        self.connection.exec_command('run', in_data=b'input', sudoable=False)
        op, context, meta, parts, _ = self.client.calls[1]
        self.assertEqual(op, 'exec')
        self.assertEqual([entry['op'] for entry in meta['pre']], ['mkdir', 'write', 'chmod'])
        self.assertEqual(meta['pre'][1], {'op': 'write', 'path': '/t/dir/source', 'size': 10, 'mode': 0o750,
                                          'atime': 11.0, 'mtime': 22.0})
        self.assertEqual(parts, [b'x' * 10, b'input'])
        self.connection.exec_command('again')
        self.assertNotIn('pre', self.client.calls[2][2])

    def test_the_queue_is_flushed_for_another_account(self):
        self.become()
        self.session.queue_op(files.mkdir('/t/dir'))
        self.connection.exec_command('id', sudoable=False)
        self.assertEqual([(op, context) for op, context, _, _, _ in self.client.calls],
                         [('connect', ''), ('files', 'c1'), ('exec', 'c0')])

    def test_an_unknown_closure_keeps_the_queue(self):
        self.session.queue_op(files.mkdir('/t/dir'))
        self.client.answers['module'] = [result(status=wire.UNKNOWN_CLOSURE), result()]
        context = self.session.context()
        self.session.call('module', context, check=False)
        self.session.call('module', context, check=False)
        self.assertEqual([len(call[2].get('pre', ())) for call in self.client.calls[1:]], [1, 1])

    def test_removing_waits_for_nothing(self):
        self.session.queue_op(files.mkdir('/t/a'))
        self.session.remove('/t/a')
        self.assertEqual(self.client.ops(), ['connect'])
        self.session.remove('/t/b')
        op, _, meta, _, noreply = self.client.calls[-1]
        self.assertEqual((op, noreply), ('files', True))
        self.assertEqual(meta['ops'], [{'op': 'remove', 'path': '/t/b', 'recursive': True}])

    def test_removing_without_a_connection_makes_none(self):
        self.session.remove('/t/b')
        self.assertEqual(self.client.calls, [])

    def test_large_files_are_transferred_by_path(self):
        path = self.local_file(124 * 1024 + 1)
        self.connection.put_file(path, '/t/big')
        self.assertEqual(self.client.calls[-1][:3],
                         ('put', 'c0', {'src': path, 'dest': '/t/big', 'mode': 0o750, 'times': True}))
        self.connection.put_file(self.local_file(124 * 1024), '/t/small')
        self.assertEqual(self.client.ops(), ['connect', 'put'])

    def test_large_data_is_transferred_from_a_file_that_goes(self):
        self.connection.put_data('/t/big', b'y' * 200000)
        op, _, meta, _, _ = self.client.calls[-1]
        self.assertEqual((op, meta['mode'], meta['times']), ('put', 0o600, False))
        self.assertEqual(os.listdir(self.directory), [])

    def test_files_that_cannot_be_sent(self):
        with self.assertRaisesRegex(AnsibleFileNotFound, 'file or module does not exist: /nonexistent/x'):
            self.connection.put_file('/nonexistent/x', '/t/x')
        with self.assertRaisesRegex(IOError, "'%s' is not a regular file." % self.directory):
            self.connection.put_file(self.directory, '/t/x')

    def test_a_device_is_read_as_any_file(self):
        self.connection.put_file('/dev/null', '/t/x')
        self.session.flush()
        _, _, meta, parts, _ = self.client.calls[-1]
        self.assertEqual(([(op['op'], op['path'], op['size']) for op in meta['ops']], parts), ([('write', '/t/x', 0)], [b'']))

    @unittest.skipIf(os.geteuid(), 'only root reads what nobody may read')
    def test_an_account_can_read_what_is_sent_to_it(self):
        for size in 10, 124 * 1024 + 1:
            path = self.local_file(size)
            os.chmod(path, 0)
            self.connection.put_file(path, '/t/x')
            self.session.flush()
            meta = self.client.calls[-1][2]
            self.assertEqual(meta.get('ops', [meta])[0]['mode'], 0o400)

    def test_commands_say_goodbye_as_ssh_does(self):
        self.connection.spindle_method = 'ssh'
        self.client.answers['exec'] = result(b'out', rc=2, err=b'err')
        self.assertEqual(self.connection.exec_command('x'),
                         (2, b'out', b'errShared connection to web1 closed.\r\n'))
        self.assertTrue(self.client.calls[-1][2]['tty'])
        self.assertEqual(self.connection.exec_command('x', in_data=b'i'),
                         (2, b'out', b'errShared connection to web1 closed.\n'))
        self.assertFalse(self.client.calls[-1][2]['tty'])
        self.assertEqual(self.client.calls[-1][2]['command'], 'x')  # in the login shell, as by sshd

    def test_commands_have_no_terminal_where_there_is_no_ssh(self):
        self.connection.spindle_method = 'docker'
        self.connection._shell.executable = '/bin/sh'
        self.client.answers['exec'] = result(b'out', rc=2, err=b'err')
        self.assertEqual(self.connection.exec_command('x'), (2, b'out', b'err'))
        meta = self.client.calls[-1][2]
        self.assertEqual((meta['tty'], meta['argv'], meta.get('command')), (False, ['/bin/sh', '-c', 'x'], None))

    def test_a_killed_command_has_a_shell_s_status(self):
        self.client.answers['exec'] = result(rc=-9)
        self.assertEqual(self.connection.exec_command('x')[0], 137)

    def test_local_commands_run_beside_the_playbook_in_todays_environment(self):
        with mock.patch.object(runtime, 'mux_environment', lambda: dict(os.environ, GONE='1', CHANGED='old')):
            with mock.patch.dict(os.environ, {'CHANGED': 'new'}):
                self.connection.exec_command('x')
        meta = self.client.calls[-1][2]
        self.assertEqual(meta['cwd'], '/usr')
        self.assertEqual((meta['env']['CHANGED'], meta['env']['GONE']), ('new', None))

    def test_directories_that_another_account_may_not_enter(self):
        self.assertTrue(session_mod.open_to_all('/usr/bin'))
        self.assertFalse(session_mod.open_to_all(self.directory))
        self.become()
        for answer, wanted in ((b'[false]', None), (b'[true]', self.directory)):
            self.session.forget()
            self.session.begin({'ansible_python_interpreter': '/usr/bin/python3'}, None, None, self.directory)
            self.client.answers['files'] = result(answer)
            for _ in range(2):
                self.connection.exec_command('pwd')
                self.assertEqual(self.client.calls[-1][2].get('cwd'), wanted)
            self.connection.exec_command('pwd', sudoable=False)
            self.assertEqual(self.client.calls[-1][2]['cwd'], self.directory)
        self.assertEqual(self.client.ops().count('files'), 2)

    def test_answers_become_ansibles_errors(self):
        for status, text, kind, wanted in (
                (wire.UNREACHABLE, 'Connection timed out.', AnsibleConnectionFailure, '^Connection timed out.$'),
                (wire.FAILED, 'sudo password is incorrect', AnsibleModuleError, 'sudo password is incorrect'),
                (wire.ERROR, 'mkdir /x: Permission denied', AnsibleError, 'mkdir /x: Permission denied'),
                (wire.ERROR, 'mkdir /a b/ansible_mitogen_action_0123456789abcdef: Read-only file system', AnsibleConnectionFailure, '^Failed to create temporary directory. mkdir'),
                (wire.FAULT, 'defect', AnsibleError, 'defect')):
            self.client.answers['connect'] = result(status=status, text=text)
            with self.assertRaisesRegex(kind, wanted):
                self.session.ensure()
            self.assertFalse(self.connection.connected)

    def test_no_directory_to_write_to(self):
        hello = {'python': '/usr/bin/python3', 'tmp': None, 'tmp_tried': ['/var/tmp', '/tmp'], 'home': '/'}
        self.client.answers['connect'] = result(json.dumps({'context': 'c', 'hello': hello}).encode())
        with self.assertRaisesRegex(AnsibleError, '(?s)^Unable to find a useable temporary directory. This likely means no\nsystem-supplied TMP directory '
                                                  'can be written to.\n\nThe following paths were tried:\n    /var/tmp\n    /tmp$'):
            self.connection.get_good_temp_dir()

    def test_a_lost_link_is_told_and_the_next_use_connects_anew(self):
        self.client.answers['exec'] = [result(status=wire.UNREACHABLE, text='EOF'), result()]
        with self.assertRaisesRegex(AnsibleConnectionFailure, 'Mitogen was disconnected.*was: EOF'):
            self.connection.exec_command('x')
        self.assertFalse(self.connection.connected)
        self.connection.exec_command('x')
        self.assertEqual(self.client.ops(), ['connect', 'exec', 'connect', 'exec'])

    def test_what_another_attempt_may_mend_is_tried_again(self):
        wrong, needed, refused = 'SSH password is incorrect', 'SSH password was requested, but none specified', 'SSH authentication is incorrect'
        for text, password, attempts in ((wrong, 'p', 1), (needed, None, 2), (refused, None, 2), (refused, 'p', 1), ('Connection refused', 'p', 2)):
            self.client.calls = []
            self.client.answers['connect'] = result(status=wire.UNREACHABLE, text=text)
            with mock.patch.object(session_mod.Session, 'way', lambda *_: [{'method': 'ssh', 'kwargs': {'password': password}}]), \
                    mock.patch.object(session_mod.Session, '_retries', lambda _: 1), mock.patch('time.sleep'), self.assertRaises(AnsibleConnectionFailure):
                self.session.ensure()
            self.assertEqual(self.client.ops(), ['connect'] * attempts, (text, password))

    def test_a_login_that_changed_is_entered_anew_ahead_of_the_tasks_first_call(self):
        self.become()
        self.begin()
        self.client.answers['exec'] = [result(status=wire.STALE), result(out=b'done'), result()]
        self.session.queue_op(files.mkdir('/var/tmp/x', temp=True))
        self.assertEqual(self.connection.exec_command('x')[1], b'done')
        self.assertEqual(self.client.ops(), ['connect', 'exec', 'retire', 'connect', 'exec'])
        first, second = self.client.calls[1], self.client.calls[4]
        self.assertEqual(first, second)
        self.assertTrue(first[2]['fresh'])
        self.assertEqual([op['op'] for op in first[2]['pre']], ['mkdir'])
        self.connection.exec_command('y')
        self.assertNotIn('fresh', self.client.calls[-1][2])
        self.assertEqual(self.client.calls[3][2]['holder'], self.client.calls[0][2]['holder'])

    def test_a_login_is_not_changed_under_a_task(self):
        self.connection.exec_command('x')
        self.client.answers['exec'] = result(status=wire.STALE, text='ended')
        with self.assertRaisesRegex(AnsibleConnectionFailure, 'Mitogen was disconnected.*was: ended'):
            self.connection.exec_command('y')

    def test_what_a_task_has_made_behind_a_login_is_not_lost_with_it(self):
        self.become()
        self.session.queue_op(files.mkdir('/t/dir', temp=True))
        self.client.answers['files'] = [result(status=wire.STALE), result()]
        self.connection.exec_command('x', sudoable=False)
        self.assertEqual([call[:2] for call in self.client.calls], [
            ('connect', ''), ('files', 'c1'), ('retire', 'c1'), ('connect', ''), ('files', 'c1'), ('exec', 'c0')])
        self.assertNotIn('fresh', self.client.calls[-1][2])

    def test_a_login_is_entered_anew_as_itself(self):
        self.become()
        self.client.answers['exec'] = [result(status=wire.STALE), result()]
        self.connection.exec_command('x', sudoable=False)
        self.assertEqual([call[:2] for call in self.client.calls], [
            ('connect', ''), ('exec', 'c0'), ('retire', 'c0'), ('connect', ''), ('exec', 'c0')])

    def test_a_login_that_changes_again_and_again_is_told(self):
        self.client.answers['exec'] = result(status=wire.STALE, text='ended')
        with self.assertRaisesRegex(AnsibleConnectionFailure, 'Mitogen was disconnected'):
            self.connection.exec_command('y')
        self.assertEqual(self.client.ops().count('exec'), session_mod.RENEWALS)

    def test_idle_accounts_make_way_for_what_they_would_hinder(self):
        for module, arguments, retired in (
                ('user', {'name': 'app', 'state': 'absent'}, ['app']),
                ('ansible.builtin.user', {'name': 'app', 'uid': 7}, ['app']),
                ('ansible.legacy.user', {'user': 'app', 'home': '/srv'}, ['app']),
                ('user', {'name': 'app', 'groups': 'x'}, []),
                ('group', {'name': 'app', 'state': 'absent'}, []),
                ('command', {'_raw_params': 'userdel app'}, ['']),
                ('ansible.legacy.command', {'_raw_params': 'umount /home/app'}, ['']),
                ('command', {'argv': ['/usr/sbin/userdel', 'app']}, ['']),
                ('ansible.legacy.command', {'_raw_params': 'set -e\n\tuserdel app', '_uses_shell': True}, ['']),
                ('command', {'_raw_params': 'echo userdeletion'}, [])):
            self.client.calls = []
            accounts.make_way(self.session, module, arguments)
            self.assertEqual([c[2]['user'] for c in self.client.calls], retired, (module, arguments))
        self.connection.exec_command('sudo deluser app')
        self.assertIn('retire', self.client.ops())

    def test_idle_accounts_make_way_for_scripts(self):
        path = os.path.join(self.directory, 'it.sh')
        for content, retired in ((b'#!/bin/sh\nset -e\nuserdel "$1"\n', 1), (b'echo \xff; umount /srv', 1), (b'echo userdeletion', 0), (b'', 0),
                                 (b'userdel app\n'.ljust(texts.SMALL_FILE), 1), (b'userdel app\n'.ljust(texts.SMALL_FILE + 1), 0), (None, 0)):
            if content is None:
                os.unlink(path)
            else:
                with open(path, 'wb') as f:
                    f.write(content)
            self.client.calls = []
            accounts.make_way_for_script(self.session, path)
            self.assertEqual(self.client.ops().count('retire'), retired, content and content[:40])

    def test_what_needs_no_work_of_the_user_has_a_limit(self):
        self.client.answers['ticket'] = result(b'{"ticket": "t"}')
        self.client.answers['exec'] = [result(status=wire.STALE), result()]
        self.become()
        self.begin()
        self.connection.exec_command('x')
        self.session.retire('app')
        self.session.ticket(self.session.way())
        self.session.reset()
        limited = [(op, seconds) for op, seconds in self.client.limits if op != 'exec']
        self.assertEqual([op for op, _ in limited], ['connect', 'retire', 'connect', 'retire', 'ticket', 'reset'])
        self.assertTrue(all(seconds for _, seconds in limited), limited)

    def test_what_a_program_has_said_is_told_without_ours(self):
        for text, said in (('error occurred on host web1: EOF on stream; last 100 lines received:\nsudo: unknown user x', 'sudo: unknown user x'),
                           ('Child start failed', 'Child start failed')):
            self.assertEqual(session_mod.Refused(text, 0).said, said)
        self.assertEqual([session_mod.Refused('', rc).rc for rc in (0, 127)], [1, 127])

    def test_a_lost_multiplexer_is_told(self):
        self.client.answers['exec'] = client_mod.ClientError('gone')
        with self.assertRaisesRegex(AnsibleConnectionFailure, 'Original error was: gone'):
            self.connection.exec_command('x')
        self.assertFalse(self.connection.connected)

    def test_no_multiplexer_is_told(self):
        with mock.patch.object(runtime, 'client', mock.Mock(side_effect=client_mod.ClientError('refused'))):
            with self.assertRaisesRegex(AnsibleError, 'The task worker cannot connect.*Original error: refused'):
                self.connection.exec_command('x')

    def test_contexts_go_with_the_socket_they_came_by(self):
        self.connection.exec_command('x')
        self.client.alive = False
        self.client = FakeClient()
        self.connection.exec_command('x')
        self.assertEqual(self.client.ops(), ['connect', 'exec'])

    def test_a_discovered_interpreter_is_changed_over_to(self):
        self.begin(ansible_python_interpreter='auto',
                   ansible_facts={'discovered_interpreter_python': '/opt/python'})
        self.connection.exec_command('x')
        self.assertEqual(self.client.ops(), ['connect', 'connect', 'exec'])
        self.assertEqual(self.client.calls[1][2]['hops'][0]['python'], ['/opt/python'])
        self.begin(ansible_python_interpreter='auto',
                   ansible_facts={'discovered_interpreter_python': '/usr/bin/python3'})
        self.session.forget()
        self.connection.exec_command('x')
        self.assertEqual(self.client.ops()[3:], ['connect', 'exec'])

    def test_reset_works_on_the_login_hop(self):
        self.become()
        self.begin()
        self.session.ensure()
        self.connection.reset()
        op, context, meta, _, _ = self.client.calls[-1]
        self.assertEqual((op, context, len(meta['hops'])), ('reset', 'c0', 1))
        self.assertFalse(self.connection.connected)

    def test_reset_is_also_of_the_agent_that_discovery_has_led_to(self):
        self.begin(ansible_facts={'discovered_interpreter_python': '/usr/libexec/platform-python'}, ansible_python_interpreter='auto')
        self.connection.reset()
        pythons = [meta['hops'][-1]['python'] for op, _, meta, _, _ in self.client.calls if op == 'reset']
        self.assertEqual(pythons[0], ['/usr/libexec/platform-python'])
        self.assertIn('/usr/bin/python3', pythons[1])

    def test_reset_describes_a_connection_that_others_made(self):
        self.become()
        self.begin()
        self.connection._reset()
        op, context, meta, _, _ = self.client.calls[-1]
        self.assertEqual((op, context, len(meta['hops'])), ('reset', '', 1))


if __name__ == '__main__':
    unittest.main()
