"""Finding, starting and ending the multiplexer, with stand-ins for it."""
import os
import shutil
import signal
import socket
import stat
import sys
import tempfile
import threading
import unittest
from unittest import mock

from tests.support import HERE
from spindle_ansible import client as client_mod
from spindle_ansible import mux as mux_mod

FAKE = os.path.join(HERE, 'fake_mux.py')


class MuxTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        patch = mock.patch.dict(os.environ, {'XDG_RUNTIME_DIR': self.directory, 'PATH': os.environ['PATH']})
        patch.start()
        self.addCleanup(patch.stop)
        os.environ.pop('SPINDLE_BINARY', None)

    def program(self, text):
        path = os.path.join(self.directory, 'program')
        with open(path, 'w') as f:
            f.write('#!/bin/sh\n' + text)
        os.chmod(path, 0o755)
        return path

    def start(self, program):
        found = mux_mod.Multiplexer(program)
        self.addCleanup(found.stop)
        return found

    def test_the_binary_is_named_by_the_environment(self):
        os.environ['SPINDLE_BINARY'] = self.program('exit 0')
        self.assertEqual(mux_mod.find_binary(), os.environ['SPINDLE_BINARY'])
        os.environ['SPINDLE_BINARY'] = self.directory
        with self.assertRaisesRegex(mux_mod.Unavailable, 'Set SPINDLE_BINARY'):
            mux_mod.find_binary()
        os.environ['SPINDLE_BINARY'] = os.path.relpath(self.program('exit 0'))  # rsync is started in another directory
        self.assertEqual(mux_mod.find_binary(), self.program('exit 0'))

    def test_or_by_a_note_beside_the_plugins(self):
        program = self.program('exit 0')
        with open(os.path.join(self.directory, 'spindle_binary'), 'w') as f:
            f.write(program + '\n')
        with mock.patch.object(mux_mod, 'ROOT', self.directory):
            self.assertEqual(mux_mod.find_binary(), program)

    def test_or_is_in_path(self):
        os.rename(self.program('exit 0'), os.path.join(self.directory, 'spindle'))
        with mock.patch.object(mux_mod, 'ROOT', '/nonexistent'):
            os.environ['PATH'] = self.directory
            self.assertEqual(mux_mod.find_binary(), os.path.join(self.directory, 'spindle'))
            os.environ['PATH'] = '/nonexistent'
            with self.assertRaisesRegex(mux_mod.Unavailable, 'not found'):
                mux_mod.find_binary()

    def test_it_starts_answers_and_ends_without_traces(self):
        found = self.start(FAKE)
        found.wait_ready(10)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(found.path)).st_mode), 0o700)
        self.assertEqual(found.client().call('stats').status, 0)
        found.stop()
        self.assertEqual(found.process.returncode, 0)
        self.assertEqual(os.listdir(self.directory), [])
        found.stop()

    def test_one_that_is_another_program_is_told(self):
        found = self.start(self.program('echo "no such command: serve" >&2; exit 2'))
        with self.assertRaisesRegex(mux_mod.Unavailable, 'did not start .no such command: serve'):
            found.wait_ready(10)

    def test_one_that_speaks_another_protocol_is_told(self):
        os.environ['FAKE_MUX_PROTO'] = '99'
        found = self.start(FAKE)
        with self.assertRaisesRegex(mux_mod.Unavailable, 'protocol 99'):
            found.wait_ready(10)

    def test_one_of_another_release_is_told(self):
        for release, refused in (('0.1.0-0123456789ab', True), ('0', False)):
            with mock.patch.object(mux_mod, 'RELEASE', release):
                found = self.start(FAKE)
                if refused:
                    with self.assertRaisesRegex(mux_mod.Unavailable, 'of the release 0, and these plugins are of 0.1.0-0123456789ab: put .* plugins'):
                        found.wait_ready(10)
                else:
                    found.wait_ready(10)

    def test_the_number_of_one_that_has_died_may_be_anothers(self):
        found = self.start(FAKE)
        found.process.kill()
        found.process.wait()
        found.process.pid = os.getpid()
        found.stop()  # at once, and we are here still

    def test_one_that_never_gets_ready_is_told(self):
        found = self.start(self.program('read x <&"$5"'))
        with self.assertRaisesRegex(mux_mod.Unavailable, 'within 0 seconds'):
            found.wait_ready(0.05)

    def test_one_that_does_not_end_is_killed(self):
        found = self.start(self.program('trap "" TERM; echo ready >&"$5"; while :; do sleep 60; done'))
        found._lifeline.recv(64)
        with mock.patch.object(mux_mod, 'END_SECONDS', 0.05):
            found.stop()
        self.assertEqual(found.process.returncode, -signal.SIGKILL)

    def test_one_that_dies_is_noticed(self):
        found = self.start(FAKE)
        found.wait_ready(10)
        found.wait_ready(10)
        found.process.kill()
        found.process.wait()
        with self.assertRaisesRegex(mux_mod.Unavailable, 'has ended, with exit status -9'):
            found.wait_ready(10)

    def test_a_socket_that_has_gone_is_waited_for(self):
        found = self.start(FAKE)
        found.wait_ready(10)
        found.hang_up()
        for use in (lambda: found.wait_ready(10), lambda: None):
            os.rename(found.path, found.path + 'x')
            back = threading.Timer(0.3, os.rename, (found.path + 'x', found.path))
            back.start()
            use()
            self.assertEqual(found.client().call('stats').status, 0)
            found.hang_up()
            back.join()
        os.rename(found.path, found.path + 'x')
        with mock.patch.object(client_mod, 'GONE_SECONDS', 0.1):
            with self.assertRaisesRegex(mux_mod.Unavailable, 'has disappeared'):
                found.wait_ready(10)
            with self.assertRaisesRegex(client_mod.ClientError, 'No such file'):
                found.client()
        os.rename(found.path + 'x', found.path)

    def test_a_directory_of_others_is_refused(self):
        os.chmod(self.directory, 0o755)
        os.mkdir(os.path.join(self.directory, 'spindle'), 0o777)
        os.chmod(os.path.join(self.directory, 'spindle'), 0o777)
        self.assertNotEqual(mux_mod.run_directory(), os.path.join(self.directory, 'spindle'))

    def test_sockets_of_killed_runs_are_swept(self):
        directory = mux_mod.run_directory()
        live, dead, mine = (os.path.join(directory, '%s-x.sock' % pid) for pid in (4194999, 4194998, os.getpid()))
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(live)
        listening.listen(1)
        for path in (dead, mine):
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(path)
        mux_mod.sweep(directory)
        self.assertEqual(sorted(os.listdir(directory)), sorted(map(os.path.basename, (live, mine))))

    def test_the_directory_is_held_until_there_is_a_socket(self):
        first = self.start(FAKE)
        with self.assertRaises(OSError):
            os.rmdir(os.path.dirname(first.path))
        first.wait_ready(10)
        self.assertEqual(os.listdir(os.path.dirname(first.path)), [os.path.basename(first.path)])

    def test_a_fork_neither_holds_it_nor_ends_it(self):
        found = self.start(FAKE)
        found.wait_ready(10)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                found.stop()
                held = found._lifeline is not None or getattr(found._own, 'client', None) is not None
                status = 1 if held or found.client().call('stats').status else 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(found.client().call('stats').status, 0)


if __name__ == '__main__':
    sys.exit(unittest.main())
