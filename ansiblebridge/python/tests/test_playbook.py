"""Real playbooks over the stand-in multiplexer: what is asked of it, how often, and what the user sees."""
import os
import re
import unittest

from spindle_ansible import compat
from tests.playbook_case import HEAD, PlaybookCase

WATCHING = '''
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_NAME = 'watching'
    CALLBACK_NEEDS_ENABLED = CALLBACK_NEEDS_WHITELIST = False

    def v2_playbook_on_play_start(self, play):
        self.play = play

    def v2_playbook_on_stats(self, stats):
        print('the strategy is %s' % self.play.strategy)
'''


class PlaybookTest(PlaybookCase):
    def test_a_loop_is_one_call_an_item(self):
        calls = self.play('  - command: echo {{ item }}\n    loop: [1, 2, 3, 4, 5]\n')
        self.assertEqual((calls['connect'], calls['module'], calls['files'], calls['exec']), (1, 5, 0, 0))

    def test_a_task_is_one_call(self):
        calls = self.play('  - command: echo one\n  - stat: path=/etc\n  - shell: echo two\n')
        self.assertEqual((calls['connect'], calls['module'], calls['files'], calls['exec']), (3, 3, 0, 0))

    def test_closures_are_registered_once_by_the_parent(self):
        calls = self.play('  - command: echo one\n  - command: echo two\n',
                          inventory='one ansible_connection=local\ntwo ansible_connection=local\n')
        self.assertEqual((calls['closure'], calls['module']), (2, 4))

    def test_a_small_file_is_one_call(self):
        calls = self.play('  - copy: {content: abc, dest: "{{ playbook_dir }}/made", mode: "0640"}\n')
        self.assertEqual((calls['composite'], calls['module'], calls['files'], calls['put']), (1, 0, 0, 0))
        made = os.path.join(self.directory, 'made')
        self.assertEqual(os.stat(made).st_mode & 0o777, 0o640)
        calls = self.play('  - copy: {content: abc, dest: "{{ playbook_dir }}/made", mode: "0640"}\n')
        self.assertEqual((calls['composite'], calls['module'], calls['files'], calls['put']), (1, 0, 0, 0))
        self.assertIn('changed=0', self.output)

    def test_a_large_file_is_transferred(self):
        with open(os.path.join(self.directory, 'large'), 'wb') as f:
            f.write(os.urandom(300000))
        calls = self.play('  - copy: {src: large, dest: "{{ playbook_dir }}/made"}\n')
        self.assertEqual(calls['put'], 1)

    def test_scripts_and_raw_commands(self):
        with open(os.path.join(self.directory, 'it.sh'), 'w') as f:
            f.write('#!/bin/sh\necho scripted\n')
        calls = self.play('  - script: it.sh\n  - raw: echo raw\n')
        self.assertEqual((calls['exec'], calls['module']), (2, 0))
        self.assertIn('"stdout": "scripted\\n"', self.output)
        self.assertNotIn('Shared connection', self.output)

    def test_idle_accounts_make_way_for_what_a_script_does(self):
        with open(os.path.join(self.directory, 'it.sh'), 'w') as f:
            f.write('#!/bin/sh\n: userdel app\n')
        copy = '  - copy: {src: it.sh, dest: "{{ playbook_dir }}/made"}\n'
        for tasks, there in (('  - script: it.sh\n', 1), ('  - ansible.builtin.script: {cmd: it.sh 1 2}\n', 1), (copy, 0)):
            self.assertEqual(self.play(tasks)['retire'], there, tasks)

    def test_modules_of_other_kinds_are_run_by_ansibles_own_payload(self):
        os.mkdir(os.path.join(self.directory, 'library'))
        with open(os.path.join(self.directory, 'library', 'old'), 'w') as f:
            f.write('#!/bin/sh\n. $1\necho "{\\"changed\\": false, \\"msg\\": \\"hello $who\\"}"\n')
        calls = self.play('  - old: who=you\n')
        self.assertEqual((calls['exec'], calls['module']), (1, 0))
        self.assertIn('"msg": "hello you"', self.output)

    def test_actions_that_need_no_connection_make_none(self):
        calls = self.play('  - debug: msg=hello\n  - set_fact: {a: 1}\n')
        self.assertEqual(calls, {})

    def test_unreachable_hosts(self):
        inventory = 'one ansible_host=unreachable1 ansible_connection=ssh\n'
        self.play('  - command: echo one\n', code=4, inventory=inventory)
        # Newer versions put "Task failed: " in front.
        self.assertRegex(self.output, r'UNREACHABLE! => {"changed": false, "msg": "(Task failed: )?Connection timed out\."')

    def test_connections_are_tried_again(self):
        inventory = 'one ansible_host=unreachable1 ansible_connection=ssh\n'
        for setting in ({'ANSIBLE_SSH_RETRIES': '1'}, {'ANSIBLE_SSH_RETRIES': '0'}):
            calls = self.play('  - command: echo one\n', code=4, inventory=inventory, **setting)
            self.assertEqual(calls['connect'], 1 + int(setting['ANSIBLE_SSH_RETRIES']))

    def test_a_become_that_fails_is_the_tasks_failure(self):
        self.play('  - command: id\n    become: true\n    become_user: nobody-at-all\n', code=2)
        self.assertIn('sudo password is incorrect', self.output)
        self.assertIn('unreachable=0    failed=1', self.output)

    def test_what_is_not_supported_goes_the_stock_way_with_one_warning(self):
        os.mkdir(os.path.join(self.directory, 'connection_plugins'))
        with open(os.path.join(self.directory, 'connection_plugins', 'odd.py'), 'w') as f:
            f.write('from ansible.plugins.connection import local\n\n\n'
                    'class Connection(local.Connection):\n    transport = "odd"\n')
        calls = self.play('  - command: echo {{ item }}\n    loop: [1, 2]\n    vars: {ansible_connection: odd}\n' * 2)
        self.assertEqual(calls['module'], 0)
        self.assertEqual(' '.join(self.output.split()).count('the connection type odd is not supported yet'), 1)
        self.assertIn('failed=0', self.output)

    def test_a_job_is_seen_to_where_it_was_begun(self):
        """Up to 2.19 the tasks that poll for it know nothing of delegation."""
        self.play('  - command: echo {{ inventory_hostname }}\n    delegate_to: localhost\n    async: 30\n    poll: 1\n',
                  inventory='inner ansible_connection=local mitogen_via=nowhere\n', ANSIBLE_ASYNC_DIR=os.path.join(self.directory, 'jobs'))
        self.assertIn('"stdout": "inner"', self.output)

    def test_hosts_that_wait_to_be_forked_when_the_multiplexer_ends_lead_nowhere_else(self):
        os.mkdir(os.path.join(self.directory, 'callback_plugins'))
        with open(os.path.join(self.directory, 'callback_plugins', 'ends_it.py'), 'w') as f:
            f.write("""
import os, signal, time
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, 'aggregate', 'ends_it'

    def v2_runner_on_start(self, host, task):
        if task.get_name() != 'effect':
            return
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open('/proc/%s/stat' % pid) as f, open('/proc/%s/cmdline' % pid) as g:
                    if f.read().rpartition(')')[2].split()[1] == str(os.getpid()) and 'fake_mux' in g.read():
                        os.kill(int(pid), signal.SIGKILL)
                        time.sleep(0.5)
            except OSError:  # it has ended meanwhile
                pass
""")
        self.play('  - command: echo begin\n  - name: effect\n    command: touch {{ playbook_dir }}/ran-{{ inventory_hostname }}\n', code=4,
                  head='- hosts: inner\n  gather_facts: false\n  tasks:\n',
                  inventory='gate ansible_connection=local\n[inner]\none\ntwo\nthree\n[inner:vars]\nansible_connection=local\nmitogen_via=gate\n')
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith('ran-')], [], self.output)
        self.assertEqual(self.output.count('UNREACHABLE!'), 3, self.output)

    def test_a_number_for_a_command_is_the_modules_to_complain_of(self):
        self.play('  - command: {argv: 5}\n', code=2)
        self.assertRegex(self.output, '"rc": 2')

    def test_a_reset_without_a_multiplexer_ends_no_run(self):
        self.play('  - command: echo one\n  - debug: msg="{{ lookup(\'pipe\', \'kill -9 $(cat %s/.ansible-mux.pid); sleep 0.5\') }}"\n'
                  '  - meta: reset_connection\n  - command: echo two\n' % self.directory, MITOGEN_SAVE_PIDS='1')
        self.assertIn('Spindle is not used', self.output)
        self.assertIn('ok=3', self.output)

    def test_without_a_multiplexer_everything_goes_the_stock_way_with_one_warning(self):
        for environ, told in (({'SPINDLE_BINARY': '/nonexistent'}, 'SPINDLE_BINARY names /nonexistent'),
                              ({'FAKE_MUX_FAIL': '1'}, 'did not start (spindle: unknown command)')):
            self.play('  - command: echo {{ item }}\n    loop: [1, 2]\n' * 2, **environ)
            text = ' '.join(self.output.split())
            self.assertEqual(text.count('Spindle is not used'), 1)
            self.assertIn(told, text)
            self.assertIn('ok=2 changed=2', text)

    def test_stock_strategies_stay_stock(self):
        calls = self.play('  - command: echo one\n', head=HEAD.replace('false\n', 'false\n  strategy: linear\n', 1))
        self.assertEqual(calls, {})
        # A connection that cannot be made is the task's failure in older versions, and the host's in newer ones.
        self.play('  - command: echo one\n', code=4 if compat.HAS_BUILT_MODULE else 2,
                  inventory='one ansible_connection=mitogen_ssh\n',
                  ANSIBLE_STRATEGY='linear',
                  ANSIBLE_CONNECTION_PLUGINS=os.path.join(self.package, 'plugins', 'connection'))
        self.assertIn('Mitogen connection types may only be instantiated when', self.output)

    def test_a_play_has_the_name_of_the_strategy_that_ansible_knows(self):
        """What is printed under the free ones goes by it, and so does the debugger."""
        for strategy, known in (('mitogen_free', 'free'), ('mitogen_host_pinned', 'host_pinned'), ('mitogen', 'linear'), ('mitogen_linear', 'linear')):
            for environ in ({}, {'SPINDLE_BINARY': '/nonexistent'}):
                self.play('  - {name: one, command: echo 1}\n  - {name: two, command: echo 2}\n', ANSIBLE_STRATEGY=strategy,
                          ANSIBLE_CALLBACK_PLUGINS=self.watching(), **environ)
                self.assertIn('the strategy is %s\n' % known, self.output)
                self.assertEqual(self.output.count('TASK [one]'), 1, self.output)

    def watching(self):
        """A directory with a callback that says what a play's strategy is."""
        directory = os.path.join(self.directory, 'watching')
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, 'watching.py'), 'w') as f:
            f.write(WATCHING)
        return directory

    def test_a_callback_switches_the_stock_strategies_over(self):
        environ = {'ANSIBLE_CALLBACK_PLUGINS': os.path.join(self.package, 'plugins', 'callback'),
                   'ANSIBLE_CALLBACKS_ENABLED': 'spindle', 'ANSIBLE_CALLBACK_WHITELIST': 'spindle'}
        del self.environ['ANSIBLE_STRATEGY_PLUGINS'], self.environ['ANSIBLE_ACTION_PLUGINS']
        for strategy in ('linear', 'free', 'ansible.builtin.host_pinned', 'ansible.legacy.linear'):
            calls = self.play('  - command: echo one\n', ANSIBLE_STRATEGY=strategy, **environ)
            self.assertEqual((calls['connect'], calls['module']), (1, 1), strategy)
        calls = self.play('  - command: echo one\n', ANSIBLE_STRATEGY='linear', ANSIBLE_CALLBACK_PLUGINS=environ['ANSIBLE_CALLBACK_PLUGINS'])
        self.assertEqual(calls, {}, 'it is not enabled')

    def test_the_stack_is_shown(self):
        os.mkdir(os.path.join(self.directory, 'library'))
        with open(os.path.join(self.directory, 'library', 'mitogen_get_stack.py'), 'w'):
            pass
        calls = self.play('  - mitogen_get_stack:\n    vars: {ansible_python_interpreter: python3000}\n')
        self.assertEqual(calls['connect'], 0)
        self.assertIn('"python3000"', self.output)
        self.assertIn('"method": "local"', self.output)

    def test_the_stack_has_what_was_discovered_of_each_host(self):
        os.mkdir(os.path.join(self.directory, 'library'))
        with open(os.path.join(self.directory, 'library', 'mitogen_get_stack.py'), 'w'):
            pass
        inventory = 'one ansible_connection=local mitogen_via=%s\nway ansible_connection=local\nother ansible_connection=local\n'
        known = '  - set_fact: {discovered_interpreter_python: "/opt/{{ inventory_hostname }}", cacheable: true}\n    when: inventory_hostname != "other"\n'
        for via in ('way', 'other'):
            calls = self.play(known + '  - mitogen_get_stack:\n    when: inventory_hostname == "one"\n    vars: {ansible_become: false}\n',
                              inventory=inventory % via, ANSIBLE_PYTHON_INTERPRETER='auto')
            on_the_way, own = re.findall(r'"python_path": \[\s*"(.*?)"', self.output)
            self.assertEqual((calls['connect'], own), (0, '/opt/one'))
            self.assertTrue('/opt/way' == on_the_way if via == 'way' else 'python' in on_the_way, on_the_way)

    def test_a_task_that_takes_too_long_leaves_the_next_one_alone(self):
        self.play('  - command: sleep 30\n    timeout: 1\n    ignore_errors: true\n  - command: echo next\n')
        self.assertIn('ok=2', self.output)

    def test_process_numbers_are_saved_where_that_is_asked_for(self):
        self.play('  - command: echo one\n')
        names = ['.ansible-%s.pid' % name for name in ('controller', 'mux')]
        self.assertFalse(set(names) & set(os.listdir(self.directory)))
        self.play('  - command: sh -c "echo $PPID"\n', MITOGEN_SAVE_PIDS='1', MITOGEN_POOL_SIZE='x', MITOGEN_CPU_COUNT='-1',
                  MITOGEN_DUMP_THREAD_STACKS='x', MITOGEN_ROUTER_DEBUG='', MITOGEN_PROFILING='1', MITOGEN_PROFILE_FMT='/nonexistent/%(pid)s')
        numbers = []
        for name in names:
            with open(os.path.join(self.directory, name)) as f:
                numbers.append(int(f.read()))
        self.assertEqual(len(set(numbers)), 2)
        self.assertNotIn('WARNING', self.output)

    def test_nothing_is_left(self):
        self.play('  - command: echo one\n')
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith('spindle')], [])


if __name__ == '__main__':
    unittest.main()
