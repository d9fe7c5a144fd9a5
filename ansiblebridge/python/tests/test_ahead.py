"""Loops whose items are begun ahead, over the stand-in multiplexer: what is sent when, and that nothing of it can be seen."""
import os
import re
import unittest

from tests.playbook_case import PlaybookCase


class AheadTest(PlaybookCase):
    def test_results_come_in_order_and_each_item_makes_one_call(self):
        calls = self.play("""
    - command: echo {{ item }}
      loop: "{{ range(0, 70) | list }}"
      register: out
    - debug: {msg: "{{ out.results | map(attribute='stdout') | join(',') }}"}
""")
        self.assertEqual(calls['module'], 70)
        self.assertIn(','.join(str(n) for n in range(70)), self.output)
        self.assertEqual(re.findall(r'item=(\d+)\)', self.output), [str(n) for n in range(70)])

    def test_where_there_are_not_enough_threads_there_are_fewer_ahead(self):
        with open(os.path.join(self.directory, 'sitecustomize.py'), 'w') as f:
            f.write("""
import os, threading
start = threading.Thread.start
def few(thread):
    if '_run' in thread.name or getattr(thread._target, '__name__', '') == '_run':
        if threading.active_count() > int(os.environ['FEW']):
            raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = few
""")
        for few in ('5', '1', '0'):
            with self.subTest(few=few):
                calls = self.play("""
    - command: echo {{ item }}
      loop: "{{ range(0, 40) | list }}"
      register: out
    - command: echo {{ out.results | map(attribute='stdout') | join(',') }}
    - command: echo behind
""", PYTHONPATH=self.directory, FEW=few)
                self.assertEqual(calls['module'], 42)
                self.assertIn(','.join(str(n) for n in range(40)), self.output)

    def links(self):
        """Which links of chains the calls of modules were."""
        return [call[2] for call in self.calls if call[0] == 'module']

    def test_the_first_item_is_a_link_too(self):
        self.play("""
    - command: echo {{ item }}
      loop: "{{ range(0, 70) | list }}"
""")
        self.assertEqual(self.links(), list(range(70)))

    def test_it_is_not_where_it_finds_out_what_the_others_need(self):
        self.play("""
    - command: echo {{ item }}
      loop: [1, 2, 3]
""", ANSIBLE_PYTHON_INTERPRETER='auto')
        self.assertEqual(self.links()[0], None)

    def test_a_first_item_that_fails_is_followed_by_the_others(self):
        self.play("""
    - shell: echo {{ item }}; exit {{ item }}
      loop: [1, 0, 0, 0]
      register: out
      ignore_errors: true
    - debug: {msg: "{{ out.results | map(attribute='stdout') | join(',') }}"}
""")
        self.assertIn('1,0,0,0', self.output)

    def test_each_copy_has_a_directory_of_its_own(self):
        self.play("""
    - copy: {content: "{{ item }}", dest: "{{ playbook_dir }}/{{ item }}", mode: "0600"}
      loop: [a, b, c, d, e]
    - copy: {src: "{{ playbook_dir }}/{{ item }}", dest: "{{ playbook_dir }}/{{ item }}2", mode: "0600", validate: "test -s %s"}
      loop: [a, b, c, d, e]
""")
        for name in 'abcde':
            for suffix in ('', '2'):
                with open(os.path.join(self.directory, name + suffix)) as f:
                    self.assertEqual(f.read(), name)

    def test_a_text_that_looks_at_the_result_before_sees_it(self):
        for name, text in (('plain', 'plain'), ('look', "{{ out.dest | default('nothing') | basename }}")):
            with open(os.path.join(self.directory, name + '.j2'), 'w') as f:
                f.write(text)
        self.play("""
    - template: {src: "{{ item.split('-')[0] }}.j2", dest: "{{ playbook_dir }}/{{ item }}", mode: "0600"}
      loop: [plain-1, look-2, plain-3, plain-4, look-5, look-6, plain-7]
      register: out
""")
        found = {}
        for name in ('look-2', 'look-5', 'look-6'):
            with open(os.path.join(self.directory, name)) as f:
                found[name] = f.read()
        self.assertEqual(found, {'look-2': 'plain-1', 'look-5': 'plain-4', 'look-6': 'look-5'})

    def test_each_item_tries_to_connect_where_none_can(self):
        calls = self.play("""
    - command: echo {{ item }}
      loop: [1, 2, 3]
      vars: {ansible_connection: ssh, ansible_host: unreachable.invalid}
""", code=4)
        self.assertGreaterEqual(calls['connect'], 1)
        self.assertEqual(calls['module'], 0)

    def test_what_is_said_keeps_its_place(self):
        self.play("""
    - command: echo {{ item }}
      loop: [1, 2, 3, 4, 5]
      loop_control: {label: "{{ item }} {{ out.rc }}"}
      register: out
      failed_when: out.stdout == '3'
      ignore_errors: true
    - command: echo {{ item.a }}
      loop: [{a: 1}, {a: 2}, {b: 3}, {a: 4}]
      ignore_errors: true
""", ANSIBLE_VERBOSITY='0')
        self.assertEqual(re.findall(r'^(\w+): \[one\] (?:=> )?\(item=(\d) 0\)', self.output, re.M),
                         [('changed', '1'), ('changed', '2'), ('failed', '3'), ('changed', '4'), ('changed', '5')])

    def test_a_template_that_fails_ends_the_loop_where_it_always_did(self):
        calls = self.play("""
    - command: echo {{ item.a }}
      loop: [{a: 1}, {a: 2}, {a: 3}, {b: 3}, {a: 4}, {a: 5}]
      ignore_errors: true
""")
        self.assertIn(calls['module'], (3, 5))  # newer releases go on behind it

    def test_an_item_with_another_account_waits_for_its_turn(self):
        calls = self.play("""
    - command: echo {{ item }}
      loop: [1, 2, 3, 4, 5, 6]
      become: "{{ item in [3, 4] }}"
      register: out
    - debug: {msg: "{{ out.results | map(attribute='stdout') | join(',') }}"}
""")
        self.assertEqual(calls['module'], 6)
        self.assertIn('1,2,3,4,5,6', self.output)


if __name__ == '__main__':
    unittest.main()
