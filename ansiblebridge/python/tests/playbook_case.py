"""A playbook over the stand-in multiplexer, in a directory of its own."""
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from tests.support import ROOT

PLAYBOOK = shutil.which('ansible-playbook', path='/usr/bin') or shutil.which('ansible-playbook')

HEAD = '- hosts: all\n  gather_facts: false\n  tasks:\n'


@unittest.skipUnless(PLAYBOOK, 'there is no ansible-playbook')
class PlaybookCase(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.package = os.path.join(self.directory, 'package')
        for name in ('plugins', 'spindle_ansible', 'tests'):
            shutil.copytree(os.path.join(ROOT, name), os.path.join(self.package, name),
                            ignore=shutil.ignore_patterns('__pycache__'))
        import spindle_wire
        shutil.copy(spindle_wire.__file__, self.package)
        self.log = os.path.join(self.directory, 'log')
        self.environ = dict(
            os.environ, HOME=self.directory, XDG_RUNTIME_DIR=self.directory, FAKE_MUX_LOG=self.log, LC_ALL='C.UTF-8',
            SPINDLE_BINARY=os.path.join(self.package, 'tests', 'fake_mux.py'), ANSIBLE_STRATEGY='mitogen_linear',
            ANSIBLE_STRATEGY_PLUGINS=os.path.join(self.package, 'plugins', 'strategy'),
            ANSIBLE_ACTION_PLUGINS=os.path.join(self.package, 'plugins', 'action'), ANSIBLE_NOCOLOR='1',
            ANSIBLE_PYTHON_INTERPRETER=sys.executable, ANSIBLE_DEPRECATION_WARNINGS='0', ANSIBLE_LOCALHOST_WARNING='0')

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as f:
            f.write(text)

    def play(self, tasks, code=0, inventory='one ansible_connection=local\n', head=HEAD, args=(), **environ):
        for name, text in (('play.yml', head + tasks), ('inventory', inventory)):
            with open(os.path.join(self.directory, name), 'w') as f:
                f.write(text)
        if os.path.exists(self.log):
            os.unlink(self.log)
        done = subprocess.run([PLAYBOOK, '-v', '-i', 'inventory', 'play.yml'] + list(args), cwd=self.directory, timeout=120 * float(os.environ.get('SPINDLE_TEST_PATIENCE') or 1),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=dict(self.environ, **environ))
        self.output = done.stdout.decode()
        if code is not None:
            self.assertEqual(done.returncode, code, self.output)
        self.calls = []  # (what was called, where, as which link of a chain)
        if os.path.exists(self.log):
            with open(self.log) as f:
                self.calls = [json.loads(line) for line in f]
        return collections.Counter(call[0] for call in self.calls)
