"""Names that Mitogen has given to connections and actions, as plugins of others use them."""
import json
import os
import pwd

from spindle_ansible import compat
from tests.playbook_case import PlaybookCase

ASKS = '''
import json
import os

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        super(ActionModule, self).run(tmp, task_vars)
        c = self._connection
        told = {'delegate_to_hostname': c.delegate_to_hostname, 'loader_basedir': c.loader_basedir, 'reset': c._reset == c.reset}
        told['homedir'], told['get_good_temp_dir'] = c.homedir, c.get_good_temp_dir()
        told['where'] = [c.exec_command('pwd', mitogen_chdir='/usr')[1].decode(), c.exec_command('pwd')[1].decode()]
        told['stdin'] = c.exec_command('cat', b'given', False, '/usr')[1].decode()
        for name, more in (('plain', {}), ('mode', {'mode': 0o604}), ('times', {'mode': 0o640, 'utimes': (1000000000, 1100000000.5)})):
            path = os.path.join(self._task.args['to'], name)
            c.put_data(path, b'content of ' + name.encode(), **more)
            c.exec_command('true')  # it rides along with whatever comes next
            st = os.stat(path)
            told[name] = [open(path).read(), '%o' % (st.st_mode & 0o777), st.st_atime, st.st_mtime]
        c.put_data(os.path.join(self._task.args['to'], 'large'), b'x' * 300000, mode=0o600, utimes=(1000000000, 1100000000))
        st = os.stat(os.path.join(self._task.args['to'], 'large'))
        told['large'] = [st.st_size, '%o' % (st.st_mode & 0o777), st.st_mtime]
        try:
            path = os.path.join(self._task.args['to'], 'none')
            told['none'] = self._transfer_data(path, None) == path and c.exec_command('cat ' + path)[1].decode()
        except TypeError as e:
            told['none'] = str(e)
        with open(os.path.join(self._task.args['to'], 'told'), 'w') as f:
            json.dump(told, f)
        return {}
'''


class NamesTest(PlaybookCase):
    def test_what_plugins_ask_a_connection_for(self):
        os.mkdir(os.path.join(self.directory, 'action_plugins'))
        with open(os.path.join(self.directory, 'action_plugins', 'asks.py'), 'w') as f:
            f.write(ASKS)
        for name in ('own', 'delegated'):
            os.mkdir(os.path.join(self.directory, name))
        self.play('  - asks: {to: "{{ playbook_dir }}/own"}\n'
                  '  - asks: {to: "{{ playbook_dir }}/delegated"}\n    delegate_to: "{{ who }}"\n    vars: {who: other}\n',
                  inventory='one ansible_connection=local\n[others]\nother ansible_connection=local\n', args=['-l', 'one'])
        for name, delegate in (('own', None), ('delegated', 'other')):
            with open(os.path.join(self.directory, name, 'told')) as f:
                told = json.load(f)
            self.assertEqual(told['delegate_to_hostname'], delegate)
            self.assertEqual(told['loader_basedir'], self.directory)
            self.assertEqual(told['homedir'], pwd.getpwuid(os.getuid()).pw_dir)
            self.assertTrue(os.path.isdir(told['get_good_temp_dir']) and told['reset'])
            self.assertEqual(told['where'], ['/usr\n', self.directory + '\n'])
            self.assertEqual(told['stdin'], 'given')
            self.assertEqual(told['plain'][0], 'content of plain')
            self.assertEqual(told['mode'][:2], ['content of mode', '604'])
            self.assertEqual(told['times'], ['content of times', '640', 1000000000, 1100000000.5])
            self.assertEqual(told['large'], [300000, '600', 1100000000])
            self.assertEqual(told['none'], 'data must be either a string or bytes' if compat.HAS_BUILT_MODULE else '{}')

    def test_fetch_by_its_other_name(self):
        with open(os.path.join(self.directory, 'there'), 'w') as f:
            f.write('x\n')
        here = os.path.join(self.directory, 'here')
        calls = self.play('  - mitogen_fetch: {src: "{{ playbook_dir }}/there", dest: "{{ playbook_dir }}/here", flat: true}\n' * 2
                          + '  - mitogen_fetch: {src: /no/such/file, dest: x/, fail_on_missing: false}\n')
        self.assertEqual(calls['get'], 1)
        self.assertIn('ok=3    changed=1 ', self.output)
        self.assertIn('the remote file does not exist, not transferring, ignored', self.output)
        with open(here) as f:
            self.assertEqual(f.read(), 'x\n')
