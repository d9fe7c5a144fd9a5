"""Runs in which Spindle cannot be used: what goes on over Ansible's own connections, and what must not."""
import os
import re
import unittest

from tests.playbook_case import PlaybookCase

INVENTORY = (
    'plain ansible_connection=local\n'
    'behind ansible_connection=local mitogen_via=plain\n'
    'account ansible_connection=mitogen_sudo ansible_user=root\n'
    'templated ansible_connection="{{ kind }}" kind=local mitogen_via=plain\n')
# Each leaves a mark where it runs, which is here.
MARK = '  - command: touch {{ playbook_dir }}/was_{{ inventory_hostname }}\n'


class FallbackTest(PlaybookCase):
    def marks(self):
        return sorted(name for name in os.listdir(self.directory) if name.startswith('was_'))

    def look(self, output):
        told = ' '.join(output.split())
        self.assertEqual(told.count('Spindle is not used, and the run goes on'), 1, output)
        for host in ('behind', 'account', 'templated'):
            self.assertRegex(told, r'fatal: \[%s\]: UNREACHABLE! => .{0,40}"(Task failed: )?This connection needs Spindle, which is not used in this run: ' % host)
        self.assertRegex(output, r'plain +: ok=2 +changed=1 ')
        self.assertEqual(self.marks(), ['was_plain'])

    def test_hosts_behind_others_are_unreachable_and_the_rest_goes_on(self):
        self.play('  - debug: msg=here\n' + MARK, code=4, inventory=INVENTORY, SPINDLE_BINARY='/nonexistent/spindle')
        self.look(self.output)
        self.assertEqual(len(re.findall('^ok: ', self.output, re.M)), 4, 'debug needs no connection')

    def test_other_strategies(self):
        for strategy in ('mitogen_free', 'mitogen_host_pinned'):
            self.play('  - debug: msg=here\n' + MARK, code=4, inventory=INVENTORY, SPINDLE_BINARY='/nonexistent/spindle', ANSIBLE_STRATEGY=strategy)
            self.look(self.output)

    def test_plugins_that_are_not_whole(self):
        os.unlink(os.path.join(self.package, 'spindle_wire.py'))
        self.play('  - debug: msg=here\n' + MARK, code=4, inventory=INVENTORY)
        self.look(self.output)
        self.assertIn('the plugins are not whole', ' '.join(self.output.split()))

    def test_delegates(self):
        for name in ('behind', 'account', '{{ other }}'):
            self.play('  - command: touch {{ playbook_dir }}/was_here\n    delegate_to: "%s"\n    vars: {other: behind}\n' % name,
                      code=None, inventory=INVENTORY, args=['-l', 'plain'], SPINDLE_BINARY='/nonexistent/spindle')
            self.assertIn('needs Spindle, which is not used in this run', ' '.join(self.output.split()))
            self.assertEqual(self.marks(), [], name)
        # The host is lost that has such a task, and no other one.
        self.play('  - command: touch {{ playbook_dir }}/was_here\n    delegate_to: behind\n    when: inventory_hostname == "plain"\n' + MARK,
                  code=4, inventory=INVENTORY + 'other ansible_connection=local\n', args=['-l', 'plain,other'], SPINDLE_BINARY='/nonexistent/spindle')
        self.assertRegex(self.output, r'fatal: \[plain( -> [^\]]+)?\]: UNREACHABLE')
        self.assertEqual(self.marks(), ['was_other'])
        os.unlink(os.path.join(self.directory, 'was_other'))
        self.play('  - command: touch {{ playbook_dir }}/was_here\n    delegate_to: plain\n',
                  inventory=INVENTORY, args=['-l', 'plain'], SPINDLE_BINARY='/nonexistent/spindle')
        self.assertEqual(self.marks(), ['was_here'])


if __name__ == '__main__':
    unittest.main()
