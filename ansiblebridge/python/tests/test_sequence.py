"""Tasks that are begun before the ones ahead of them have ended, over the stand-in multiplexer: when they are, and that nothing of it can be seen."""
import os
import re

from tests.playbook_case import HEAD, PlaybookCase

# What a task leaves when it runs: its number, and which process of Ansible's has asked for it.
MARK = """
    - name: t%(n)d
      shell: echo %(n)d >> %(file)s; echo out%(n)d
      %(more)s
"""

# Has a task that may be begun ahead note which process runs it.
NOTE = '''

def _note(original):
    def run(self):
        if hasattr(self, '_member'):
            with open(os.environ['SPINDLE_TEST_PIDS'], 'a') as f:
                f.write('%d ran %s\\n' % (os.getpid(), self._member._task.name))
        original(self)
    return run


Item._run = _note(Item._run)
'''


class SequenceTest(PlaybookCase):
    def tasks(self, count, more=None):
        self.file = os.path.join(self.directory, 'ran')
        return ''.join(MARK % {'n': n, 'file': self.file, 'more': (more or {}).get(n, 'register: r%d' % n)} for n in range(count))

    def ran(self):
        with open(self.file) as f:
            return [int(line) for line in f]

    def sequences(self):
        """The names of tasks by the processes that have run them, in order."""
        found = []
        for pid, name in re.findall(r'^(\d+) ran (\S+)$', self.output, re.M):
            if not found or found[-1][0] != pid:
                found.append((pid, []))
            found[-1][1].append(name)
        return [names for _, names in found]

    def setUp(self):
        super().setUp()
        self.pids = os.path.join(self.directory, 'pids')
        with open(os.path.join(self.package, 'spindle_ansible', 'flight.py'), 'a') as f:
            f.write(NOTE)

    def play(self, tasks, **kwargs):
        """Run it, with word of which process has run which task at the end of the output."""
        open(self.pids, 'w').close()
        calls = super().play(tasks, SPINDLE_TEST_PIDS=self.pids, **kwargs)
        with open(self.pids) as f:
            self.output += f.read()
        return calls

    def test_tasks_that_do_not_look_at_each_other_have_one_process(self):
        self.play(self.tasks(12) + '    - debug: {msg: "{{ r3.stdout }} {{ r11.stdout }}"}\n')
        self.assertEqual(self.ran(), list(range(12)))
        self.assertIn('out3 out11', self.output)
        self.assertEqual([sorted(names) for names in self.sequences()], [sorted('t%d' % n for n in range(1, 12))])
        self.assertEqual(re.findall(r'^TASK \[(t\d+)\]', self.output, re.M), ['t%d' % n for n in range(12)])

    def test_one_that_looks_at_a_result_begins_when_it_is_there(self):
        self.play(self.tasks(8, {5: 'when: r4.stdout == "out4"'}))
        self.assertEqual(self.ran(), list(range(8)))
        self.assertEqual(self.sequences(), [['t1', 't2', 't3', 't4'], ['t5', 't6', 't7']])

    def test_nothing_runs_behind_a_failure(self):
        tasks = self.tasks(8).replace('echo out3', 'exit 3')
        self.play(tasks, code=2)
        self.assertEqual(self.ran(), [0, 1, 2, 3])
        self.assertIn('failed=1', self.output)

    def test_a_failure_that_is_passed_over_is_followed_by_what_follows(self):
        tasks = self.tasks(8, {3: 'ignore_errors: true'}).replace('echo out3', 'exit 3')
        self.play(tasks)
        self.assertEqual(self.ran(), list(range(8)))
        self.assertIn('ignored=1', self.output)

    def test_a_failure_leads_to_the_rescue(self):
        tasks = self.tasks(6).replace('echo out3', 'exit 3')
        block = '    - block:\n' + tasks.replace('\n    ', '\n        ').replace('    -', '        -', 0) + '\n      rescue:\n        - debug: {msg: rescued}\n'
        self.play(block)
        self.assertEqual(self.ran(), [0, 1, 2, 3])
        self.assertIn('rescued=1', self.output)

    def test_conditions_are_met_or_not(self):
        self.play(self.tasks(9, {3: 'when: false', 4: 'when: 1 == 2', 6: 'when: true'}))
        self.assertEqual(self.ran(), [0, 1, 2, 5, 6, 7, 8])
        self.assertIn('skipped=2', self.output)
        self.assertEqual(len(self.sequences()), 1)

    def test_facts_are_seen_by_what_follows(self):
        self.play(self.tasks(3) + '''
    - getent: {database: passwd, key: root}
    - shell: echo {{ getent_passwd.root[1] | default('nothing') }}
      register: out
    - debug: {msg: "found {{ out.stdout }} {{ ansible_facts.getent_passwd.root[1] }}"}
''')
        self.assertRegex(self.output, r'found (\d+) \1')

    def test_what_a_condition_may_fail_by_is_the_last(self):
        self.play(self.tasks(6, {3: 'failed_when: "1 == 1"'}), code=2)
        self.assertEqual(self.ran(), [0, 1, 2, 3])

    def test_what_is_told_to_fail_is_the_last(self):
        self.play(self.tasks(6, {3: 'failed_when: true'}), code=2)
        self.assertEqual(self.ran(), [0, 1, 2, 3])

    def test_files_of_variables_are_read_for_each_task(self):
        for connection in ('local', 'ssh'):
            for name, text in (('v.yml', 'x: old'), ('w.yml', 'y: true')):
                with open(os.path.join(self.directory, name), 'w') as f:
                    f.write(text + '\n')
            self.play(self.tasks(2) + '''
    - {name: change, shell: "cd %s; sleep 0.5; echo 'x: new' > v1.yml; echo 'y: false' > w1.yml"}
    - {name: look, shell: "echo saw {{ x }}"}
    - {name: skip, shell: echo no, when: y}
''' % self.directory, head=HEAD.replace('  tasks:', '  vars_files: [[v1.yml, v.yml], [w1.yml, w.yml]]\n  tasks:'), inventory='one ansible_connection=%s\n' % connection)
            self.assertIn('saw new', self.output)
            self.assertIn('skipped=1', self.output)
            for name in ('v1.yml', 'w1.yml'):
                os.unlink(os.path.join(self.directory, name))

    def test_somebodys_own_strategy_is_asked_for_each_task(self):
        own = os.path.join(self.package, 'plugins', 'strategy', 'own.py')
        with open(own, 'w') as f:
            f.write('''
from ansible.plugins.loader import strategy_loader


class StrategyModule(strategy_loader.get('mitogen_linear', class_only=True)):
    def _queue_task(self, host, task, task_vars, play_context):
        task_vars['stamp'] = task.name
        return super()._queue_task(host, task, task_vars, play_context)
''')
        self.play(''.join('    - {name: t%d, shell: "echo stamp {{ stamp | default(0) }}"}\n' % n for n in range(6)), ANSIBLE_STRATEGY='own')
        self.assertEqual(sorted(set(re.findall(r'stamp (t\d)', self.output))), ['t%d' % n for n in range(6)])

    def test_a_handler_that_is_not_there_ends_the_play_where_it_always_did(self):
        self.play(self.tasks(6, {3: 'notify: nobody'}), code=1)
        self.assertEqual(self.ran(), [0, 1, 2, 3])

    def test_handlers_run(self):
        self.play(self.tasks(4, {1: 'notify: h', 2: 'notify: topic'}) + '''
  handlers:
    - name: h
      shell: echo 100 >> %(file)s
    - name: i
      listen: topic
      shell: echo 101 >> %(file)s
''' % {'file': os.path.join(self.directory, 'ran')})
        self.assertEqual(self.ran(), [0, 1, 2, 3, 100, 101])
        self.assertEqual(len(self.sequences()), 1)

    def test_files_are_copied_as_they_are_in_their_turn(self):
        for connection in ('local', 'ssh'):
            self.copies(connection)

    def copies(self, connection):
        for name, text in (('a', 'before'), ('b.j2', 'before {{ number }}'), ('c.j2', "{{ seen.stdout | default('nothing') }}")):
            with open(os.path.join(self.directory, name), 'w') as f:
                f.write(text + '\n')
        self.play('''
    - {name: a0, copy: {src: a, dest: to-a}}
    - {name: b0, template: {src: b.j2, dest: to-b}}
    - {name: c0, shell: echo c}
    - {name: change, shell: "echo after > a; echo 'after {{ '{{' }} number {{ '}}' }}' > b.j2"}
    - {name: a1, copy: {src: a, dest: to-a}}
    - {name: b1, template: {src: b.j2, dest: to-b}}
    - {name: look, shell: echo found, register: seen}
    - {name: c2, template: {src: c.j2, dest: to-c}}
    - {name: a2, copy: {src: a, dest: to-a}}
    - {name: b2, template: {src: b.j2, dest: to-b}}
    - {name: c1, shell: cat to-a to-b to-c, register: out}
    - debug: {msg: "{{ out.stdout_lines | join(',') }}"}
'''.replace(': to-', ': %s/to-' % self.directory).replace('cat to-a to-b to-c', 'cd %s; cat to-a to-b to-c' % self.directory).replace('"echo after > a;', '"cd %s; echo after > a;' % self.directory),
                  inventory='one ansible_connection=%s number=7\n' % connection)
        self.assertIn('after,after 7,found', self.output)
        self.assertEqual(len(re.findall('^changed: ', self.output, re.M)), 9)
        for name in 'abc':
            os.unlink(os.path.join(self.directory, 'to-' + name))

    def test_what_a_copy_has_changed_is_not_lost_with_its_source(self):
        for name, text in (('a', 'text'), ('b.j2', 'text {{ number }}')):
            with open(os.path.join(self.directory, name), 'w') as f:
                f.write(text + '\n')
        ran = os.path.join(self.directory, 'ran')
        self.play('''
    - {name: a0, copy: {src: a, dest: ~/to-first}}
    - {name: b0, template: {src: b.j2, dest: ~/to-second}}
    - {name: c0, shell: echo c}
    - {name: touch a, shell: sleep 0.3; touch ~/a}
    - {name: a1, copy: {src: a, dest: ~/to-a}, notify: h}
    - {name: touch b, shell: sleep 0.3; touch ~/b.j2}
    - {name: b1, template: {src: b.j2, dest: ~/to-b}, notify: i}
    - {name: c1, shell: echo 1 >> ~/ran}
    - {name: b2, template: {src: b.j2, dest: ~/to-b}}
  handlers:
    - {name: h, shell: echo 2 >> ~/ran}
    - {name: i, shell: echo 3 >> ~/ran}
'''.replace('~', self.directory), inventory='one ansible_connection=ssh number=7\n', FAKE_MUX_APART='1')
        for name in 'a1', 'b1':
            self.assertRegex(self.output, r'TASK \[%s\] .*\nchanged: ' % name)
        self.assertRegex(self.output, r'TASK \[b2\] .*\nok: ')
        with open(ran) as f:
            self.assertEqual(f.read().split(), ['1', '2', '3'])

    def test_names_of_files_of_variables_are_made_out_for_each_task(self):
        for name in 'dev', 'prod':
            with open(os.path.join(self.directory, name + '.yml'), 'w') as f:
                f.write('x: %s\n' % name)
        self.play(self.tasks(2) + '''
    - {name: ask, shell: "sleep 0.3; echo prod", register: env}
    - {name: look, shell: "echo saw {{ x }}"}
''', head=HEAD.replace('  tasks:', "  vars_files: ['{{ hostvars[inventory_hostname].env.stdout | default(\"dev\") }}.yml']\n  tasks:"),
                  inventory='one ansible_connection=ssh\n', FAKE_MUX_APART='1')
        self.assertIn('saw prod', self.output)

    def test_several_hosts_keep_pace(self):
        self.play(self.tasks(4), inventory='one ansible_connection=local\ntwo ansible_connection=local\n')
        self.assertEqual(self.ran(), [0, 0, 1, 1, 2, 2, 3, 3])
        self.assertEqual(self.sequences(), [])

    def test_it_can_be_switched_off(self):
        for inventory, environ in (('one ansible_connection=local spindle_pipeline=false\n', {}), ('one ansible_connection=local\n', {'SPINDLE_BATCH': '0'})):
            self.play(self.tasks(4), inventory=inventory, **environ)
            self.assertEqual(self.sequences(), [])

    def test_words_keep_their_place(self):
        more = dict((n, 'environment: [odd%d]' % n) for n in range(6))  # which is warned of when a task runs
        self.play(self.tasks(6, more), args=('-vvv',))
        places = [self.output.index('TASK [t%d]' % n) for n in range(6)] + [len(self.output)]
        for n in range(6):
            said = self.output[places[n]:places[n + 1]]
            self.assertRegex(said, r"(?s)WARNING.*skipping:\s+\['odd%d'\]" % n)
            self.assertIn('Using module file', said)
        self.assertIn(['t1', 't2', 't3', 't4', 't5'], [names[-5:] for names in self.sequences()])


