"""Files on their way: what of them the multiplexer is told, and what fetch makes of ones that change."""
import os
from types import SimpleNamespace
import unittest
from unittest import mock

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from spindle_ansible import action_mixin, fetch, runtime, wire
from tests.playbook_case import PlaybookCase
from tests.test_session import SessionCase, result


class PathsTest(SessionCase):
    def fetched(self, dest):
        self.connection.fetch_file('/far', dest)
        op, _, meta, _, _ = self.client.calls[-1]
        self.assertEqual((op, meta['src']), ('get', '/far'))
        return meta['dest']

    def test_a_link_is_fetched_through(self):
        link, plain = os.path.join(self.directory, 'link'), os.path.join(self.directory, 'plain')
        self.assertEqual(self.fetched(plain), plain)
        os.symlink('sub/../file', link)
        os.mkdir(os.path.join(self.directory, 'sub'))
        wanted = os.path.join(os.path.realpath(self.directory), 'file')
        self.assertEqual(self.fetched(link), wanted)  # which is yet to be made
        with open(wanted, 'w'):
            pass
        self.assertEqual(self.fetched(link.encode()), wanted)

    def left(self, listens):
        names = ['.ansible_mitogen_transfer-%s.tmp' % word for word in ('77-1', '77-2', '771-3')]
        for name in names:
            with open(os.path.join(self.directory, name), 'w'):
                pass
        self.client.answers['get'] = result(status=wire.UNREACHABLE, text='EOF')
        with mock.patch.object(runtime, '_mux', SimpleNamespace(listens=lambda: listens, process=SimpleNamespace(pid=77), owner=1, environ={}, client=lambda: self.client)):
            with self.assertRaises(AnsibleConnectionFailure):
                self.fetched(os.path.join(self.directory, 'dest'))
        return [name for name in names if os.path.exists(os.path.join(self.directory, name))], names

    def test_what_a_killed_multiplexer_leaves_is_removed(self):
        left, names = self.left(False)
        self.assertEqual(left, names[2:])

    def test_what_others_are_fetching_is_not(self):
        left, names = self.left(True)
        self.assertEqual(left, names)

    def test_bytes_that_are_no_text_survive(self):
        self.connection.fetch_file(b'/far/\xe9', b'/near/\xff')
        self.assertEqual(self.client.calls[-1][2], {'src': '/far/\udce9', 'dest': '/near/\udcff'})
        path = os.path.join(self.directory, '\udce9')
        with open(path, 'wb') as f:
            f.write(b'x' * 200000)
        self.connection.put_file(path, '/far/\udce9')
        meta = self.client.calls[-1][2]
        self.assertEqual((meta['src'], meta['dest']), (path, '/far/\udce9'))

    def test_small_files_need_not_know_their_size(self):
        for path in ('/proc/version', '/sys/class/net/lo/address'):
            if not os.path.exists(path):
                continue
            with open(path, 'rb') as f:
                content = f.read()
            self.assertNotEqual(os.stat(path).st_size, len(content))
            self.connection.put_file(path, '/t/f')
            self.assertNotIn('put', self.client.ops())
            self.session.flush()
            op, _, meta, parts, _ = self.client.calls[-1]
            self.assertEqual((op, meta['ops'][0]['size'], b''.join(parts)), ('files', len(content), content))


class FetchTest(unittest.TestCase):
    """The mixin over an action that fetches one file."""

    def setUp(self):
        self.runs = []
        self.errors = []
        self.connection = mock.Mock(become='sudo')
        self.connection.spindle_unsupported.return_value = None
        self.connection.fetch_file.side_effect = self.transfer
        self.action = object.__new__(fetch.FetchMixin)
        self.action._connection = self.connection
        self.action._task = SimpleNamespace(args={'src': '/far', 'dest': '/near'}, delegate_to=None)
        patch = mock.patch.object(action_mixin.ActionMixin, 'run', lambda action, tmp, task_vars: self.stock(action))
        patch.start()
        self.addCleanup(patch.stop)

    def transfer(self, src, dest):
        if self.errors:
            raise self.errors.pop(0)

    def stock(self, action):
        connection, check = action._connection, action._task.args.get('validate_checksum', True)
        self.runs.append((bool(connection.become), check))
        if connection.become:
            return {'changed': True, 'checksum': 'new', 'remote_checksum': 'new', 'by': 'slurp'}
        connection.fetch_file('/far', '/near')
        if check:
            return {'failed': True, 'msg': 'checksum mismatch', 'checksum': 'new', 'remote_checksum': 'old'}
        return {'changed': True, 'checksum': 'new', 'remote_checksum': 'old'}

    def test_a_file_that_changes_is_fetched_as_it_has_come(self):
        args = self.action._task.args
        self.assertEqual(self.action.run(), {'changed': True, 'checksum': 'new', 'remote_checksum': 'new'})
        self.assertEqual(self.runs, [(False, False)])
        self.assertIs(self.action._connection, self.connection)
        self.assertIs(self.action._task.args, args)
        self.assertEqual(args, {'src': '/far', 'dest': '/near'})

    def test_what_did_not_come_whole_is_read_at_once(self):
        for text in ("transfer of '/far' was interrupted.", 'get /far: No such file or directory'):
            self.runs = []
            self.errors = [AnsibleError(text)]
            self.assertEqual(self.action.run()['by'], 'slurp')
            self.assertEqual(self.runs, [(False, False), (True, True)])

    def test_what_fails_at_this_end_is_not_tried_again(self):
        for error in (AnsibleError('write /near: no space left on device'), AnsibleConnectionFailure('get lost')):
            self.runs = []
            self.errors = [error]
            with self.assertRaises(type(error)):
                self.action.run()
            self.assertEqual(len(self.runs), 1)
            self.assertIs(self.action._connection, self.connection)

    def test_without_become_all_is_stocks(self):
        self.connection.become = None
        self.assertEqual(self.action.run()['msg'], 'checksum mismatch')
        self.assertEqual(self.runs, [(False, True)])


class FetchPlayTest(PlaybookCase):
    def test_a_file_that_changes_all_the_time(self):
        calls = self.play('''
    - fetch: {src: /proc/uptime, dest: got/}
      become: true
      become_user: root
      register: got
    - assert:
        that:
          - got.changed
          - got.checksum == got.remote_checksum
          - got.checksum == lookup('file', 'got/one/proc/uptime', rstrip=false) | hash('sha1')
          - got.md5sum and got.dest and got.remote_md5sum is none
          - got.msg is not defined
''')
        self.assertEqual(calls['get'], 1)


if __name__ == '__main__':
    unittest.main()
