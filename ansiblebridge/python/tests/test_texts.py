"""What users know of the plugins' texts: every row of the repository's tests/texts.txt that is ours, word for word, from the code that says it."""
import os
import re
import unittest
from unittest import mock

from ansible.errors import AnsibleError

from spindle_ansible import entry, runtime, wire
from tests import test_session
from tests.playbook_case import HEAD, PlaybookCase
from tests.support import ROOT
from tests.test_selfcheck import other_release
from tests.test_session import result

LIST = os.path.join(ROOT, '..', '..', 'tests', 'texts.txt')

# An action that makes a connection of its own and uses it, in its own thread or in another; or that runs a module that is nowhere.
ACTION = '''
import os
import threading

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super(ActionModule, self).run(tmp, task_vars)
        if self._task.args['do'] == 'module':
            return self._execute_module('nosuch', task_vars=task_vars)
        found = {}
        connection = connection_loader.get(self._task.args.get('by', 'ssh'), self._play_context, os.devnull)

        def use():
            try:
                found['msg'] = connection.exec_command('echo it works')[1].decode()
            except Exception as e:
                found.update(failed=True, msg=str(e))
        if self._task.args['do'] == 'here':
            use()
        else:
            thread = threading.Thread(target=use)
            thread.start()
            thread.join()
        return found
'''

KILL = '  - shell: kill -9 $(cat {{ playbook_dir }}/.ansible-mux.pid); sleep 60\n    ignore_unreachable: true\n'


def rows():
    """Those texts that are the plugins' to say."""
    with open(LIST, encoding='utf-8') as f:
        lines = [line.rstrip('\n').split(' | ', 2) for line in f if line.strip() and not line.startswith('#')]
    return [text.replace('\\n', '\n') for _, by, text in lines if 'python' in by.split()]


def one_line(text):
    """A text as it is found in what was printed, whatever was folded or escaped there."""
    return ' '.join(text.replace('\\n', ' ').replace('\\"', '"').replace("\\'", "'").split())


class Said(object):
    """Mixed into the test cases: hears a row."""

    heard = set()

    def hear(self, row, said):
        self.heard.add(row)
        pattern = '.*'.join(re.escape(part) for part in one_line(row).split('…'))
        found = re.findall(pattern.replace('.*', '.*?'), one_line(said))
        self.assertTrue(found, '%r is not in %s' % (row, said))


VIA_UNKNOWN = 'mitogen_via=… of … specifies an unknown hostname'
VIA_CYCLE = 'mitogen_via=… of … creates a cycle (…)'
OUTSIDE = 'Mitogen connection types may only be instantiated when one of the "mitogen_*" strategies are active.'
DISCONNECTED = ('Mitogen was disconnected from the remote environment while a call was in-progress. If you feel this is in error, '
                'please file a bug. Original error was: …')
CANNOT_CONNECT = ('The task worker cannot connect. Ansible may be shutting down, or the maximum open files limit may have been exceeded. … '
                  'Original error: …')
NO_TASK_VARS = ('could not recover task_vars. This means some connection settings may erroneously be reset to their defaults. '
                'Please report a bug if you encounter this message.')
TOO_OLD = 'Your version of Ansible (…) is too old. The oldest version supported by Mitogen for Ansible is ….'


class PlaybookTextsTest(Said, PlaybookCase):
    def test_ways_that_lead_nowhere(self):
        self.play('  - command: echo one\n', code=4, inventory='one ansible_connection=ssh mitogen_via=root@nowhere\n'
                  'a ansible_connection=ssh mitogen_via=b\nb ansible_connection=ssh mitogen_via=a\n')
        self.hear(VIA_UNKNOWN, self.output)
        self.assertIn('mitogen_via=root@nowhere of one specifies an unknown hostname', one_line(self.output))
        self.hear(VIA_CYCLE, self.output)
        self.assertIn('creates a cycle (a -> b -> a)', one_line(self.output))

    def test_settings(self):
        self.play('  - command: echo one\n', code=4, inventory='one ansible_connection=ssh mitogen_ssh_compression=maybe\n')
        self.hear('expected yes/no/true/false/0/1, got …', self.output)
        self.assertIn("expected yes/no/true/false/0/1, got 'maybe'", one_line(self.output))

    def test_outside_of_a_strategy(self):
        for name in ('mitogen_ssh', 'mitogen_local', 'mitogen_docker', 'mitogen_sudo'):
            self.play('  - command: echo one\n', code=None, inventory='one ansible_connection=%s\n' % name,
                      ANSIBLE_STRATEGY='linear', ANSIBLE_CONNECTION_PLUGINS=os.path.join(self.package, 'plugins', 'connection'))
            self.hear(OUTSIDE, self.output)

    def test_a_multiplexer_that_goes_away(self):
        self.play(KILL, MITOGEN_SAVE_PIDS='1')
        self.hear(DISCONNECTED, self.output)

    def test_connections_of_other_plugins(self):
        self.write('action_plugins/lonely.py', ACTION)
        self.play('  - lonely: {do: elsewhere}\n', code=2)
        self.hear(NO_TASK_VARS, self.output)
        calls = self.play('  - lonely: {do: here}\n', inventory='one ansible_connection=ssh\n')
        self.assertIn('it works', self.output)
        self.assertEqual((calls['connect'], calls['exec']), (1, 1))
        # It has the settings of the task that it is used by; one to the controller has its own.
        self.play('  - lonely: {do: here}\n', code=2, inventory='one ansible_connection=ssh mitogen_via=nowhere\n')
        self.hear(VIA_UNKNOWN, self.output)
        self.play('  - lonely: {do: here, by: local}\n', inventory='one ansible_connection=ssh mitogen_via=nowhere\n')
        self.assertIn('it works', self.output)

    def test_modules_that_cannot_be_run(self):
        self.write('action_plugins/lonely.py', ACTION)
        self.play('  - lonely: {do: module}\n', code=2)
        self.hear('The module … was not found in configured module paths', self.output)
        self.write('library/bare_text.py', 'echo {}\n')
        self.play('  - bare_text:\n', code=2)
        self.hear('module (…) is missing interpreter line', self.output)

    def test_an_old_release(self):
        other_release(self, '2.9.27')
        self.play('  - command: echo one\n', code=None)
        self.hear(TOO_OLD, self.output)
        self.assertRegex(one_line(self.output), r'ERROR(!|\]:) Your version of Ansible \(2\.9\.27\) is too old\. '
                         r'The oldest version supported by Mitogen for Ansible is 2\.10')
        self.assertNotIn('TASK', self.output)
        # Who only enabled the callback has named no strategy of ours.
        calls = self.play('  - command: echo one\n', ANSIBLE_STRATEGY='linear', ANSIBLE_CALLBACKS_ENABLED='spindle',
                          ANSIBLE_CALLBACK_WHITELIST='spindle', ANSIBLE_CALLBACK_PLUGINS=os.path.join(self.package, 'plugins', 'callback'))
        self.assertEqual((calls, one_line(self.output).count('Spindle is not used')), ({}, 1))
        self.hear(TOO_OLD, self.output)

    def test_kubectl_needs_no_plugin_of_a_collection(self):
        for name in ('kubectl', 'mitogen_kubectl', 'kubernetes.core.kubectl'):
            calls = self.play('  - command: echo one\n', inventory='one ansible_connection=%s ansible_kubectl_namespace=shop\n' % name,
                              head=HEAD, ANSIBLE_COLLECTIONS_PATHS=self.directory, ANSIBLE_COLLECTIONS_PATH=self.directory)
            self.assertEqual((calls['connect'], calls['module']), (1, 1), name)


class SessionTextsTest(Said, test_session.SessionCase):
    """What a connection says of files, and of what the multiplexer tells it."""

    def raises(self, row, do, *args):
        with self.assertRaises(Exception) as caught:
            do(*args)
        self.hear(row, str(caught.exception))
        return caught.exception

    def test_texts(self):
        self.client.answers['exec'] = result(status=wire.UNREACHABLE)
        self.raises(DISCONNECTED, self.connection.exec_command, 'id')
        self.raises('the respondent Context has disconnected', self.connection.exec_command, 'id')
        self.raises('file or module does not exist: …', self.connection.put_file, os.path.join(self.directory, 'none'), '/to')
        self.assertEqual(str(self.raises("'…' is not a regular file.", self.connection.put_file, self.directory, '/to')),
                         "'%s' is not a regular file." % self.directory)
        hello = {'python': '/usr/bin/python3', 'tmp': None, 'tmp_tried': ['/one', '/two'], 'home': '/'}
        self.client.answers['connect'] = result(('{"context": "c", "hello": %s}' % repr(hello).replace("'", '"').replace('None', 'null')).encode())
        self.session.forget()
        error = self.raises('Unable to find a useable temporary directory. This likely means no\nsystem-supplied TMP directory can be written to.…',
                            self.connection.get_good_temp_dir)
        self.assertIn('no\nsystem-supplied TMP directory can be written to.\n\nThe following paths were tried:\n    /one\n    /two', str(error))

    def test_no_multiplexer(self):
        with mock.patch.object(runtime, 'client', side_effect=OSError(24, 'Too many open files')):
            error = self.raises(CANNOT_CONNECT, self.connection.exec_command, 'id')
        self.assertIs(type(error), AnsibleError)


class ZLastTest(unittest.TestCase):
    """Runs last, since classes are taken by their names."""

    def test_nothing_is_left_out(self):
        self.assertEqual(sorted(Said.heard - set(rows())), [], 'tests/texts.txt lacks rows')
        if len(Said.heard) > 10:  # one test alone hears little
            self.assertEqual(sorted(set(rows()) - Said.heard), [])

    def test_releases_that_are_not_too_old(self):
        for version, old in (('2.9.27', True), ('1.9', True), ('2.10.0', False), ('2.10.0rc1', False), ('2.22.1', False), ('3.0', False)):
            with mock.patch.object(entry, '__version__', version):
                self.assertEqual(entry.too_old() is not None, old, version)


if __name__ == '__main__':
    unittest.main()
