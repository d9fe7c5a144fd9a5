"""Workers that several hosts share: when they do, and that nobody can tell."""
import base64
import concurrent.futures
import contextvars
import glob
import http.server
import os
import re
import shutil
import signal
import socketserver
import subprocess
import tempfile
import threading
import time
import unittest
from unittest import mock

from ansible import constants as C
from ansible.playbook.task import Task
from ansible.plugins.loader import action_loader, filter_loader

try:
    from ansible.plugins.loader import init_plugin_loader
    init_plugin_loader()
except ImportError:
    pass

from spindle_ansible import batch, compat, loaders, log, prewarm, workers
from tests.playbook_case import HEAD, PLAYBOOK, PlaybookCase

INVENTORY = ''.join('h%d ansible_connection=local number=%d\n' % (n, n) for n in range(8))


def task(**settings):
    made = Task.load(settings)
    made._uuid = repr(sorted(settings.items()))
    return made


SLOW_OPENING = '''
import importlib.machinery, sys, threading, time

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == 'urllib.request':
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            spec.loader.exec_module = lambda module, run=spec.loader.exec_module: (run(module), slow(module))
            return spec

def slow(module):
    open('imported', 'w').write(str(threading.active_count()))
    opening = module.urlopen
    def urlopen(*a, **k):
        time.sleep(1)
        return opening(*a, **k)
    module.urlopen = urlopen

sys.meta_path.insert(0, Finder())
sys.modules['xmltodict'] = None  # an import of one connection plugin, which has urllib imported
'''


class RulesTest(unittest.TestCase):
    def setUp(self):
        self.hooks = loaders.Hooks()
        self.rules = batch.Rules(self.hooks)

    def objection(self, made, variables=None, connection='ssh', become=None):
        return self.rules.objection(made, variables or {}, connection, become)

    def test_ordinary_tasks_share(self):
        for settings in ({'command': 'true'}, {'ansible.builtin.command': 'true'}, {'ping': None}, {'debug': {'msg': 1}},
                         {'copy': {'content': 'x', 'dest': '/x'}}, {'template': {'src': 'x', 'dest': '/x'}},
                         {'command': 'true', 'loop': [1], 'until': 'true', 'retries': 2},
                         {'command': 'true', 'become': True, 'throttle': 2}, {'lineinfile': {'path': '/x'}},
                         {'set_fact': {'a': '{{ 1 | string | upper }}'}}, {'command': 'true', 'with_items': [1]}):
            self.assertIsNone(self.objection(task(**settings)) or None, settings)
        for connection in ('ssh', 'local', 'smart', 'ansible.builtin.ssh', 'docker', 'community.docker.docker'):
            self.assertIsNone(self.objection(task(command='true'), connection=connection) or None, connection)

    def test_others_have_a_worker_each(self):
        for settings in ({'command': 'true', 'timeout': 5}, {'command': 'true', 'async': 10}, {'command': 'true', 'debugger': 'always'},
                         {'command': 'true', 'run_once': True}, {'command': 'true', 'delegate_to': 'other'},
                         {'pause': {'seconds': 1}}, {'add_host': {'name': 'x'}}, {'group_by': {'key': 'x'}},
                         {'wait_for_connection': {}}, {'reboot': {}}, {'async_status': {'jid': '1'}}):
            self.assertTrue(self.objection(task(**settings)), settings)

    def test_plugins_of_collections_in_templates_have_a_worker_each(self):
        for settings in ({'debug': {'msg': '{{ x | some.where.filter }}'}}, {'debug': {'msg': '{{ x is some.where.test }}'}},
                         {'debug': {'msg': '{{ lookup("some.where.lookup") }}'}}):
            made = task(**settings)
            made._ds = settings
            self.assertTrue(self.objection(made), settings)
            self.assertFalse(_shares_text('{{ x | ansible.builtin.upper }} some.where.else a.b.c'))

    def test_connections_that_are_not_ours_have_a_worker_each(self):
        made = task(command='true')
        for connection in ('winrm', 'ansible.netcommon.network_cli', 'paramiko', None):
            self.assertTrue(self.objection(made, connection=connection), connection)
        self.assertTrue(self.objection(made, become='runas'))
        self.assertTrue(self.objection(made, {'ansible_shell_type': 'powershell'}))
        self.assertTrue(self.objection(made, {'ansible_private_key': 'text'}))
        self.assertTrue(self.objection(made, {'ansible_worker_session_isolation': False}))

    def test_it_can_be_switched_off(self):
        made = task(command='true')
        for value in (False, 'no', 'false', 0):
            self.assertEqual(self.objection(made, {'spindle_batch': value}), batch.OFF)
        self.assertFalse(self.objection(made, {'spindle_batch': True}))
        self.assertEqual(self.objection(made, {'spindle_batch': '{{ not_there }}'}), batch.OFF)
        with mock.patch.dict(os.environ, SPINDLE_BATCH='0'):
            self.assertEqual(batch.Rules(self.hooks).objection(made, {}, 'ssh', None), batch.OFF)

    def test_fact_caches_with_a_connection_prevent_it(self):
        with mock.patch.object(C, 'CACHE_PLUGIN', 'redis'):
            self.assertTrue(self.objection(task(command='true')))

    def test_profilers_prevent_it(self):
        with mock.patch('sys.getprofile', return_value=print):
            self.assertTrue(self.objection(task(command='true')))

    def test_actions_and_plugins_of_the_user_prevent_it(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        for loader, made in ((action_loader, 'command.py'), (filter_loader, 'mine.py')):
            with self.subTest(made):
                place = os.path.join(directory, made[:-3])
                os.mkdir(place)
                with open(os.path.join(place, made), 'w') as f:
                    f.write('from ansible.plugins.action import ActionBase\nclass ActionModule(ActionBase):\n    pass\n')
                before = list(loader._extra_dirs)
                try:
                    loader.add_directory(place)
                    self.assertTrue(batch.Rules(self.hooks).objection(task(command='true'), {}, 'ssh', None))
                finally:
                    loader._extra_dirs[:] = before
                    loader._clear_caches() if hasattr(loader, '_clear_caches') else loader._paths.clear()
                    loader._paths = None


    def test_an_action_that_a_role_brings_prevents_it_from_then_on(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        with open(os.path.join(directory, 'command.py'), 'w') as f:
            f.write('from ansible.plugins.action import ActionBase\nclass ActionModule(ActionBase):\n    pass\n')
        self.assertFalse(self.objection(task(command='true')))
        before = list(action_loader._extra_dirs)
        try:
            action_loader.add_directory(directory)
            self.assertTrue(self.objection(task(command='true')))
        finally:
            action_loader._extra_dirs[:] = before
            action_loader._clear_caches() if hasattr(action_loader, '_clear_caches') else action_loader._paths.clear()
            action_loader._paths = None


def _shares_text(text):
    return batch._COLLECTION_PLUGIN.search(text)


class SharedTest(PlaybookCase):
    """Real plays of many hosts."""

    def both(self, tasks, inventory=INVENTORY, code=0, **environ):
        """The output with and without shared workers, in an order of its own, and how many processes each took."""
        outputs, forks = [], []
        for setting in ('1', '0'):
            self.trace()
            for made in glob.glob(os.path.join(self.directory, 'made-*')):
                os.unlink(made)
            self.play(tasks, inventory=inventory, code=code, SPINDLE_BATCH=setting, ANSIBLE_FORKS='20', **environ)
            outputs.append(sorted(re.sub(r'"(start|end|delta|mtime|ctime|atime|inode|ino|pid)": "?[^,"]*"?,?|0x[0-9a-f]+|action_\w+|[0-9]+\.[0-9]{6}', '', line)
                                  for line in self.output.splitlines()))
            forks.append(self.forked())
        self.assertEqual(*outputs)
        return forks

    def trace(self):
        """Have each worker leave its number."""
        self.pids = os.path.join(self.directory, 'pids')
        if os.path.exists(self.pids):
            os.unlink(self.pids)
        hook = os.path.join(self.package, 'sitecustomize.py')
        with open(hook, 'w') as f:
            f.write('import os\n'
                    'def note():\n    with open(%r, "a") as f:\n        f.write("x")\n'
                    'if b"ansible-playbook" in open("/proc/self/cmdline", "rb").read():\n'
                    '    os.register_at_fork(after_in_child=note)\n' % self.pids)
        self.environ['PYTHONPATH'] = self.package

    def forked(self):
        return os.path.getsize(self.pids) if os.path.exists(self.pids) else 0

    def test_a_task_of_many_hosts_is_one_process(self):
        shared, alone = self.both('  - command: echo {{ number }}\n  - debug: {msg: "{{ inventory_hostname }}"}\n')
        self.assertEqual(alone, 16)
        self.assertIn(shared, (2, 3, 4))  # two, unless hosts were queued so slowly that those before them were not left waiting

    def test_what_hosts_set_say_and_fail_with_is_their_own(self):
        self.both('''  - command: echo {{ inventory_hostname }} {{ item }}
    loop: "{{ range(number | int % 3) | list }}"
    loop_control: {label: "{{ inventory_hostname }}", index_var: at}
    register: said
  - set_fact: {mine: "{{ said.results | map(attribute='stdout') | list }}"}
  - debug: {msg: "{{ groups.all | map('extract', hostvars, 'mine') | list }} {{ hostvars.h3.number }}"}
  - command: sh -c 'exit {{ number }}'
    ignore_errors: true
  - command: echo {{ item }}
    loop: [1]
    vars: {item: warned of}
  - debug: {msg: "{{ undefined_thing }}"}
    when: number | int == 3
    ignore_errors: true
  - copy: {content: "{{ mine }}", dest: "{{ playbook_dir }}/made-{{ inventory_hostname }}"}
  - fail: {msg: "not {{ number }}"}
    when: number | int > 5
''', code=2)

    def test_what_is_discovered_of_a_host_is_not_known_of_the_others(self):
        # The facts are the play's own, one dictionary for all hosts, in which Ansible notes what it discovers.
        self.both('  - ping:\n    vars: {ansible_facts: {of: all}}\n', ANSIBLE_PYTHON_INTERPRETER='auto_silent')
        self.assertEqual(self.output.count('"discovered_interpreter_python"'), 8, self.output)

    def test_each_has_temporary_files_on_the_controller(self):
        for name, text in (('password', 'secret'), ('vaulted.sh', '#!/bin/sh\necho said\n')):
            with open(os.path.join(self.directory, name), 'w') as f:
                f.write(text)
        vault = os.path.join(os.path.dirname(PLAYBOOK), 'ansible-vault')
        subprocess.run([vault, 'encrypt', '--vault-password-file', 'password', 'vaulted.sh'], cwd=self.directory, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environ)
        self.both('  - script: vaulted.sh\n', ANSIBLE_VAULT_PASSWORD_FILE='password')
        self.assertEqual(self.output.count('changed=1'), 8, self.output)

    def test_what_one_host_asks_of_a_server_is_asked_with_its_own_password(self):
        asked = []

        class Server(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                given = base64.b64decode((self.headers.get('Authorization') or '').partition(' ')[2]).decode()
                self.send_response(200 if given else 401)
                if given:
                    asked.append((self.path.lstrip('/'), given.partition(':')[0]))
                else:
                    self.send_header('WWW-Authenticate', 'Basic realm="r"')
                self.send_header('Content-Length', '0')
                self.end_headers()

            def log_message(self, *_):
                pass

        with socketserver.ThreadingTCPServer(('127.0.0.1', 0), Server) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.addCleanup(server.shutdown)
            # Where urllib looks for what was installed, others get a turn: urllib that is there before the hosts' threads are, and after.
            for early in True, False:
                with self.subTest(early=early):
                    with open(os.path.join(self.directory, 'sitecustomize.py'), 'w') as f:
                        f.write(SLOW_OPENING + ('import urllib.request\n' if early else ''))
                    del asked[:]
                    self.play('  - debug: msg="{{ lookup(\'url\', \'http://127.0.0.1:%d/\' ~ inventory_hostname, username=inventory_hostname, '
                              'password=\'p\') }}"\n' % server.server_address[1], inventory=INVENTORY, ANSIBLE_FORKS='20', PYTHONPATH=self.directory)
                    self.assertEqual(len(asked), 8, self.output)
                    self.assertEqual([path for path, name in asked if path != name], [])
                    with open(os.path.join(self.directory, 'imported')) as f:
                        self.assertEqual(int(f.read()) == 1, early)

    def test_threads_of_plugins_print_and_warn_as_they_do_in_workers(self):
        filters = os.path.join(self.directory, 'collections', 'ansible_collections', 'own', 'words', 'plugins', 'filter')
        os.makedirs(filters)
        with open(os.path.join(filters, 'threads.py'), 'w') as f:
            f.write('''
import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from ansible.utils.display import Display

def speak(name):
    Display().warning('warned for ' + name)
    Display().display('shown for ' + name)
    Display().deprecated('old for ' + name, version='9.9', collection_name='own.words')
    # Where it is no text that Ansible looks at, its own worker waits forever, from 2.11 on: for a lock that it held when it was forked.
    if isinstance(sys.stdout, io.StringIO) or type(sys.stdout).__name__ == '_Stream':
        print('printed for ' + name)
        print('and wrong for ' + name, file=sys.stderr)

def threaded(name):
    Display().warning('warned for ' + name)
    for _ in range(2):
        thread = threading.Thread(target=speak, args=(name,))
        thread.start()
        thread.join()
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(speak, [name + ' pooled'] * 2))
    return name

class FilterModule(object):
    def filters(self):
        return {'threaded': threaded}
''')
        shared, alone = self.both(
            '  - debug: {msg: "{{ spoken }}"}\n', inventory=INVENTORY + "[all:vars]\nspoken={{ inventory_hostname | own.words.threaded }}\n",
            ANSIBLE_COLLECTIONS_PATH=os.path.join(self.directory, 'collections'), ANSIBLE_COLLECTIONS_PATHS=os.path.join(self.directory, 'collections'))
        self.assertLess(shared, alone)
        words = ['warned for h3', 'shown for h3', 'warned for h3 pooled']
        if compat.DEFERS_WARNINGS:
            words += ['printed for h3', 'and wrong for h3']
        for words in words:
            self.assertIn(words, self.output)

    @unittest.skipUnless(compat.masks_secrets(), 'this release masks no secrets')
    def test_what_one_host_has_decrypted_no_other_shows(self):
        for name, text in (('password', 'sesame'), ('vaulted', 'something-vaulted')):
            with open(os.path.join(self.directory, name), 'w') as f:
                f.write(text + '\n')
        vault = os.path.join(os.path.dirname(PLAYBOOK), 'ansible-vault')
        subprocess.run([vault, 'encrypt', '--vault-password-file', 'password', 'vaulted'], cwd=self.directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environ)
        self.play('  - shell: sleep {{ (inventory_hostname == ansible_play_hosts[0]) | ternary(2, 0) }}; echo {{ lookup("unvault", "vaulted") }}\n', inventory=INVENTORY, ANSIBLE_FORKS='20',
                  ANSIBLE_VAULT_PASSWORD_FILE='password')
        self.assertIn('REDACTED', self.output)
        self.assertNotIn('something-vaulted', self.output)

    def test_unreachable_hosts_are_unreachable_alone(self):
        self.both('  - command: echo {{ number }}\n', code=4,
                  inventory=INVENTORY + 'un ansible_host=unreachable1 ansible_connection=ssh number=9\n')

    def test_no_more_hosts_are_at_work_than_there_are_places(self):
        marks = os.path.join(self.directory, 'marks')
        os.mkdir(marks)
        self.play('  - shell: touch %s/$$; sleep 0.3; ls %s | wc -l; rm %s/$$\n    register: seen\n'
                  '  - assert: {that: seen.stdout | int <= 3, quiet: true}\n' % (marks, marks, marks),
                  inventory=INVENTORY, ANSIBLE_FORKS='3')

    def test_what_takes_no_time_is_shown_in_the_order_of_the_hosts(self):
        inventory = ''.join('h%02d ansible_connection=local\n' % n for n in range(20))
        orders = []
        while len(orders) < 3:  # on a busy machine the last ones may be given to a process of their own, which overtakes the first
            self.play('  - debug: msg=one\n  - set_fact: {a: "{{ inventory_hostname }}"}\n  - command: echo never\n    when: a is undefined\n  - assert: {that: a is defined}\n',
                      inventory=inventory, ANSIBLE_FORKS='20')
            orders.append([re.findall(r'^(?:ok|skipping): \[(h\d\d)\]', task, re.M) for task in self.output.split('TASK [')[1:]])
            if orders[-1] == [['h%02d' % n for n in range(20)]] * 4:
                return
        self.fail(orders)

    def test_hosts_begin_in_their_order(self):
        carrier = object.__new__(workers.Carrier)
        carrier._members = list('abcd')
        here, seen = threading.current_thread(), []
        carrier._work = lambda number, member, goes=None: seen.append((number, member, threading.current_thread() is here))
        carrier._work_on()
        self.assertEqual(sorted(seen), [(0, 'a', False), (1, 'b', False), (2, 'c', False), (3, 'd', True)])

    def test_a_host_that_waits_for_something_else_keeps_nobody(self):
        carrier = object.__new__(workers.Carrier)
        carrier._members = list('abcd')
        all_here = threading.Barrier(4)
        carrier._work = lambda number, member, goes=None: all_here.wait(60)
        start = time.monotonic()
        with mock.patch.object(workers, 'START_SECONDS_MOST', 60):
            carrier._work_on()
        self.assertLess(time.monotonic() - start, 40)

    def test_hosts_wait_for_each_other(self):
        self.play('  - shell: touch {{ playbook_dir }}/met-{{ number }}; n=0; while [ $n -lt 300 ] && '
                  '[ $(ls {{ playbook_dir }}/met-* | wc -l) -lt 8 ]; do sleep 0.1; n=$((n+1)); done; ls {{ playbook_dir }}/met-* | wc -l\n'
                  '    register: met\n  - assert: {that: met.stdout == "8", quiet: true}\n',
                  inventory=INVENTORY, ANSIBLE_FORKS='20')

    def test_a_host_with_another_connection_has_its_own_worker(self):
        self.trace()
        self.play('  - debug: {msg: "{{ number }}"}\n', inventory=INVENTORY + 'w ansible_connection=winrm number=1\n', ANSIBLE_FORKS='20')
        self.assertEqual(self.forked(), 2)

    def broken(self, what, tasks, at_work=8, **environ):
        """Run a play, do something to its shared worker, and return how it ended."""
        with open(os.path.join(self.directory, 'play.yml'), 'w') as f:
            f.write(HEAD + tasks)
        with open(os.path.join(self.directory, 'inventory'), 'w') as f:
            f.write(INVENTORY)
        process = subprocess.Popen([PLAYBOOK, '-i', 'inventory', 'play.yml'], cwd=self.directory, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                                   env=dict(self.environ, **dict({'ANSIBLE_FORKS': '20'}, **environ)))
        self.addCleanup(process.stdout.close)
        try:
            limit = time.monotonic() + 60
            while len([n for n in os.listdir(self.directory) if n.startswith('at-work')]) < at_work:
                self.assertLess(time.monotonic(), limit, 'the hosts are not at work')
                time.sleep(0.05)
            what(process)
            output, _ = process.communicate(timeout=60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return process.returncode, output.decode()

    def workers_of(self, process):
        """The forks of ansible-playbook."""
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open('/proc/%s/stat' % pid) as f, open('/proc/%s/cmdline' % pid) as g:
                    if f.read().rpartition(')')[2].split()[1] == str(process.pid) and 'play.yml' in g.read():
                        found.append(int(pid))
            except OSError:  # it has ended meanwhile
                pass
        return found

    WORK = '  - shell: touch {{ playbook_dir }}/at-work-{{ number }}; exec sleep 30\n'

    def test_a_killed_worker_ends_the_run_as_ever(self):
        def kill(process):
            found = self.workers_of(process)
            self.assertEqual(len(found), 1)
            os.kill(found[0], signal.SIGKILL)
        code, output = self.broken(kill, self.WORK)
        self.assertNotEqual(code, 0)
        self.assertIn('A worker was found in a dead state', output)

    def test_a_killed_worker_ends_the_run_while_others_wait_for_a_place(self):
        for strategy in ('mitogen_linear', 'mitogen_free', 'mitogen_host_pinned'):
            with self.subTest(strategy=strategy):
                for name in os.listdir(self.directory):
                    if name.startswith('at-work'):
                        os.unlink(os.path.join(self.directory, name))
                code, output = self.broken(lambda process: os.kill(self.workers_of(process)[0], signal.SIGKILL), self.WORK, at_work=3,
                                           ANSIBLE_FORKS='3', ANSIBLE_STRATEGY=strategy)
                self.assertNotEqual(code, 0)
                self.assertIn('A worker was found in a dead state', output)

    def test_a_host_that_must_be_alone_comes_behind_those_that_wait_for_company(self):
        inventory = ''.join('h%d ansible_connection=local number=%d spindle_batch=%s\n' % (n, n, n < 4) for n in range(1, 6))
        self.play('  - command: echo {{ number }}\n', inventory=inventory, ANSIBLE_FORKS='3')
        self.assertEqual(self.output.count('changed=1'), 5, self.output)

    def test_hosts_are_made_while_all_places_are_taken(self):
        inventory = ''.join('h%d ansible_connection=local\n' % n for n in range(1, 8))
        tasks = ('  - group_by: {key: "is_{{ inventory_hostname }}"}\n  - add_host: {name: "made{{ item }}", groups: new}\n    loop: [1, 2]\n'
                 '  - assert: {that: "groups.new | length == 2 and groups[\'is_\' ~ inventory_hostname] == [inventory_hostname]"}\n')
        self.play(tasks, inventory=inventory, ANSIBLE_FORKS='2')
        self.assertEqual(self.output.count('failed=0'), 7, self.output)
        # These do not take add_host.
        for strategy in ('mitogen_free', 'mitogen_host_pinned'):
            with self.subTest(strategy=strategy):
                self.play(tasks.replace('  - add_host', '  - debug', 1).replace(' {name: "made{{ item }}", groups: new}', ' {msg: 1}').replace('groups.new | length == 2 and ', ''),
                          inventory=inventory, ANSIBLE_FORKS='2', ANSIBLE_STRATEGY=strategy)
                self.assertEqual(self.output.count('failed=0'), 7, self.output)

    def test_control_c_ends_it(self):
        started = time.monotonic()
        code, output = self.broken(lambda process: os.killpg(process.pid, signal.SIGINT), self.WORK)
        self.assertIn(code, (99, 130, -2), output)
        self.assertIn('interrupted', output)
        self.assertLess(time.monotonic() - started, 29)


class CrewTest(unittest.TestCase):
    def test_what_is_lacked_is_put_together_once_for_all_hosts_of_a_worker(self):
        crew = workers.Crew(5)
        apt, dnf = [('apt', '/apt.py')], [('dnf', '/dnf.py')]
        done = prewarm.put_together([], {})
        with mock.patch.object(workers, 'Carrier'), mock.patch.object(prewarm, 'put_together', return_value=done) as put:
            for missing in apt, apt, dnf, [], apt:
                crew.lacks(missing, {})
                crew.add(object())
            crew.start()
            self.assertEqual([call[0][0] for call in put.call_args_list], [apt, dnf])
            put.return_value = False  # the multiplexer takes none
            put.reset_mock()
            for missing in apt, dnf:
                crew.lacks(missing, {})
                crew.add(object())
            crew.start()
            self.assertEqual(put.call_count, 1)


class CarrierTest(unittest.TestCase):
    def test_what_is_said_and_printed_for_a_host_is_its_own(self):
        stream, said, found = workers._Stream(), workers._Said({'before': 1}), []
        patched = mock.patch.object(threading.Thread, 'start', threading.Thread.start)
        patched.start()
        self.addCleanup(patched.stop)
        workers._hand_on()

        def say(text):
            stream.write(text)
            found.append((text, 'before' in said, text in said, 'both' in said))
            said[text] = said['both'] = 1

        def of_host(name):
            workers._of_host.set({})
            say(name)
            item = contextvars.copy_context()  # as ahead.py has it
            self.apart(lambda: item.run(say, name + ' item'))
            self.apart(lambda: say(name + ' thread'))
            self.apart(lambda: self.apart(lambda: say(name + ' deep')))
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                pool.submit(say, name + ' pool')
            found.append(stream.getvalue())
        for name in ('one', 'two'):
            self.apart(lambda: contextvars.Context().run(of_host, name))
        words = [' item', ' thread', ' deep', ' pool']
        self.assertEqual(found, [
            one for host in ('one', 'two')
            for one in [(host, True, False, False)] + [(host + word, True, False, True) for word in words] + [''.join([host] + [host + word for word in words])]])

    @staticmethod
    def apart(function):
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()

    def test_temporary_files_are_gone_over_and_taken_away(self):
        # As 2.10 does, which ended the process with that, and with results that were still on their way out of it.
        files = workers._Files(['a', 'b', 'c'])
        for name in files:
            files.remove(name)
        self.assertFalse(files)

    @unittest.skipUnless(hasattr(log.display, '_lock'), 'releases up to 2.10 hold no lock while they fork')
    def test_threads_may_print_though_the_fork_was_locked(self):
        with log.display._lock:
            pid = os.fork()
            if not pid:
                code = 9
                try:
                    workers._part_threads()
                    found = []
                    thread = threading.Thread(target=lambda: found.append(log.display._lock.acquire(timeout=20)))
                    thread.start()
                    thread.join()
                    code = 0 if found == [True] else 8
                finally:
                    os._exit(code)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)

    def test_nothing_is_left_open_of_a_process_that_is_done(self):
        before = len(os.listdir('/proc/self/fd'))
        carrier = object.__new__(workers.Carrier)
        carrier._done, tell = os.pipe()
        os.set_blocking(carrier._done, False)
        carrier._members, carrier._busy, carrier._looked = ('a', 'b'), {'a': 0, 'b': 1}, 0
        os.write(tell, bytes([1]))
        self.assertEqual((carrier.is_busy('a'), carrier.is_busy('b')), (True, False))
        os.write(tell, bytes([0]))
        carrier._looked = 0
        self.assertFalse(carrier.is_busy('a'))
        os.close(tell)
        self.assertEqual(len(os.listdir('/proc/self/fd')), before)
        self.assertEqual((carrier._done, carrier._members), (None, ()))


del PlaybookCase
