"""Stepping aside for what Spindle does not do: over which connection the task goes on, and where it must not."""
import json
import os
import unittest

from tests.playbook_case import PlaybookCase
from tests.test_texts import one_line

# A stock ssh that notes how it was called, and reaches nobody. It stands for the socket of its shared connection, too, which 2.10 looks for;
# that release also asks at its start what ssh can do.
SSH = '#!/bin/sh\n[ "$*" != "-o ControlPersist" ]||exit 0\necho "$*" >>{log}\ncase "$*" in *" -O "*) exit 0;; esac\nexit 255\n'

WINDOWS = 'ansible_connection=%s ansible_shell_type=powershell'

PLUGIN = '''
from ansible.plugins.connection import local

DOCUMENTATION = """
    name: buildah
    short_description: of a collection
    description: [d]
    author: nobody
    options:
      word:
        description: [d]
        default: none
        vars: [{name: ansible_buildah_word}]
"""


class Connection(local.Connection):
    transport = 'containers.podman.buildah'

    def __init__(self, *args, **kwargs):
        super(Connection, self).__init__(*args, **kwargs)
        self.own = 'own'

    def exec_command(self, cmd, in_data=None, sudoable=True):
        return 0, ('%s %s by the collection' % (self.own, self.get_option('word'))).encode(), b''
'''


class AsideTest(PlaybookCase):
    def setUp(self):
        super(AsideTest, self).setUp()
        self.ssh = os.path.join(self.directory, 'ssh')
        self.ssh_log = os.path.join(self.directory, 'ssh.log')
        self.write('ssh', SSH.format(log=self.ssh_log))
        os.chmod(self.ssh, 0o755)
        self.environ.update(ANSIBLE_COLLECTIONS_PATHS=self.directory, ANSIBLE_COLLECTIONS_PATH=self.directory, ANSIBLE_SSH_EXECUTABLE=self.ssh,
                            ANSIBLE_SSH_ARGS='-o ControlPersist=1m -o ControlPath=%s' % self.ssh)

    def called(self):
        if not os.path.exists(self.ssh_log):
            return []
        with open(self.ssh_log) as f:
            return f.read().splitlines()

    def test_hosts_behind_others_are_unreachable(self):
        self.play('  - raw: echo one\n', code=4, inventory=(
            'one %s mitogen_via=two\ntwo ansible_connection=local\n' % (WINDOWS % 'ssh')), args=['-l', 'one'])
        self.assertIn('UNREACHABLE', self.output)
        self.assertIn("a Windows shell over ssh is not supported yet, and Ansible's own connection knows nothing of mitogen_via=two", one_line(self.output))
        self.assertNotIn('WARNING', self.output)
        self.assertEqual(self.called(), [])

    def test_connections_of_ours_are_unreachable(self):
        self.play('  - raw: echo one\n', code=4, inventory='one %s\n' % (WINDOWS % 'mitogen_ssh'))
        self.assertIn('and the connection type mitogen_ssh is its own', one_line(self.output))
        self.assertEqual(self.called(), [])

    def test_others_are_reached_by_stock_with_one_warning(self):
        self.play('  - raw: echo one\n', code=4, inventory=''.join('%s %s\n' % (name, WINDOWS % 'ssh') for name in ('one', 'two', 'three')))
        self.assertGreater(len(self.called()), 2)
        self.assertEqual(one_line(self.output).count('a Windows shell over ssh is not supported yet; what uses it'), 1, self.output)

    def test_a_reset_reaches_the_stock_connection(self):
        reset = '  - meta: reset_connection\n'
        self.play(reset, inventory='one %s\n' % (WINDOWS % 'ssh'))
        self.assertTrue([line for line in self.called() if ' -O ' in line], self.output)
        os.unlink(self.ssh_log)
        for more in ('mitogen_via=two', 'ansible_shell_type=sh'):  # the last one of two counts
            self.play(reset, inventory='one %s %s\ntwo ansible_connection=local\n' % (WINDOWS % 'ssh', more), args=['-l', 'one'])
            self.assertEqual(self.called(), [], more)
        # Tasks with such a become have gone the stock way, those without it have not.
        self.play(reset, inventory='one ansible_connection=ssh ansible_become_method=runas\n')
        self.assertTrue([line for line in self.called() if ' -O ' in line], self.output)
        self.assertIn('reset', [call[0] for call in self.calls])

    def test_collections(self):
        inventory = 'one ansible_connection=containers.podman.buildah ansible_buildah_auto_commit=yes ansible_buildah_word="{{ w }}" w=some\n'
        self.play('  - raw: echo one\n', code=4, inventory=inventory)
        self.assertIn('there is no other plugin for the connection type containers.podman.buildah', one_line(self.output))
        self.write('ansible_collections/containers/podman/plugins/connection/buildah.py', PLUGIN)
        calls = self.play('  - raw: echo one\n  - meta: reset_connection\n', inventory=inventory)
        self.assertIn('own some by the collection', self.output)
        self.assertEqual(calls['exec'], 0)
        self.assertEqual(one_line(self.output).count('the buildah option auto_commit is not supported yet'), 1)
        calls = self.play('  - raw: echo one\n', inventory=inventory.replace('=yes', '=no'))
        self.assertNotIn('by the collection', self.output)
        self.assertEqual(calls['exec'], 1)

    def test_it_is_explained(self):
        self.write('library/spindle_explain.py', '')
        answers = os.path.join(self.directory, 'answers')
        self.play('  - spindle_explain:\n', inventory=(
            'one %s\ntwo %s mitogen_via=one\nthree ansible_connection=ssh\n' % (WINDOWS % 'ssh', WINDOWS % 'ssh')), SPINDLE_EXPLAIN=answers)
        with open(answers) as f:
            found = dict((answer['host'], answer) for answer in map(json.loads, f))
        self.assertEqual(found['one'], {'host': 'one', 'stock': 'ssh', 'why': 'a Windows shell over ssh'})
        self.assertIn('knows nothing of mitogen_via=one', found['two']['error'])
        self.assertEqual([hop['method'] for hop in found['three']['hops']], ['ssh'])
        self.assertEqual(self.called(), [])


if __name__ == '__main__':
    unittest.main()
