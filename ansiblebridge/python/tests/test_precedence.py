"""Where settings come from: contract §1.1 and §1.2, row by row, by Ansible's own options in real playbooks.

Each row is the argument of a hop and the variables that set it, the lowest one first: of
those that are set the last one counts. The same is asked of a host that a task runs on and
of one on the way (mitogen_via).
"""
import inspect
import json
import os
import re
import shutil
import tempfile
import unittest
from unittest import mock

from ansible import constants as C
from ansible import release
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.plugins.become import sudo as become_sudo
from ansible.plugins.loader import connection_loader
from ansible.template import Templar

from spindle_ansible import compat, config
from tests.playbook_case import PlaybookCase

SSH = (
    ('hostname', ('ansible_host', 'a', 'a'), ('ansible_ssh_host', 'b', 'b')),
    ('username', ('ansible_user', 'a', 'a'), ('ansible_ssh_user', 'b', 'b')),
    ('password', ('ansible_password', 'a', 'a'), ('ansible_ssh_pass', 'b', 'b'), ('ansible_ssh_password', 'c', 'c')),
    ('port', ('ansible_port', '1001', 1001), ('ansible_ssh_port', '1002', 1002)),
    ('identity_file', ('ansible_private_key_file', '~/a', '{home}/a'), ('ansible_ssh_private_key_file', '/b', '/b')),
    ('check_host_keys', ('ansible_host_key_checking', 'no', 'ignore'), ('ansible_ssh_host_key_checking', 'yes', 'enforce')),
    ('connect_timeout', ('ansible_timeout', '41', 41), ('ansible_ssh_timeout', '42', 42)),
    ('ssh_path', ('ansible_ssh_executable', '/opt/ssh', '/opt/ssh')),
    ('ssh_args', ('ansible_ssh_args', '-4', ['-4']), ('ansible_ssh_common_args', "'-o \"A b\"'", ['-4', '-o', 'A b']),
     ('ansible_ssh_extra_args', '"\'\' -q \' \'"', ['-4', '-o', 'A b', '-q'])),  # an empty word is none
    ('ssh_debug_level', ('mitogen_ssh_debug_level', '1', 1), ('ansible_ssh_verbosity', '2', 2)),
    ('compression', ('mitogen_ssh_compression', 'no', False)),
    ('keepalive_interval', ('mitogen_ssh_keepalive_interval', '7', 7)),
    ('keepalive_count', ('mitogen_ssh_keepalive_count', '8', 8)),
    ('remote_name', ('mitogen_mask_remote_name', 'yes', 'ansible')),
    ('python_path', ('ansible_python_interpreter', "'env A=1 python'", ['env', 'A=1', 'python'])),
)
# Of become; on the way the account is what mitogen_via says, where it says one.
SUDO = (
    ('username', ('ansible_become_user', 'a', 'a'), ('ansible_sudo_user', 'b', 'b')),
    ('password', ('ansible_become_password', 'a', 'a'), ('ansible_become_pass', 'b', 'b'), ('ansible_sudo_pass', 'c', 'c')),
    ('sudo_path', ('ansible_become_exe', '/a', '/a'), ('ansible_sudo_exe', '/b', '/b')),
    ('sudo_args', ('ansible_become_flags', '-E', ['-E']), ('ansible_sudo_flags', "'-H -n'", ['-H', '-n'])),
)
SU = (
    ('username', ('ansible_become_user', 'a', 'a'), ('ansible_su_user', 'b', 'b')),
    ('password', ('ansible_become_password', 'a', 'a'), ('ansible_become_pass', 'b', 'b'), ('ansible_su_pass', 'c', 'c')),
    ('su_path', ('ansible_become_exe', '/a', '/a'), ('ansible_su_exe', '/b', '/b')),
)
DOAS = (  # whose plugin is in a collection
    ('username', ('ansible_become_user', 'a', 'a'), ('ansible_doas_user', 'b', 'b')),
    ('password', ('ansible_become_password', 'a', 'a'), ('ansible_become_pass', 'b', 'b'), ('ansible_doas_pass', 'c', 'c')),
    ('doas_path', ('ansible_become_exe', '/a', '/a'), ('ansible_doas_exe', '/b', '/b')),
)
DEFAULTS = {
    'ssh': {'username': None, 'password': None, 'port': None, 'identity_file': None, 'check_host_keys': 'enforce', 'connect_timeout': 10,
            'ssh_path': 'ssh', 'ssh_args': ['-C', '-o', 'ControlMaster=auto', '-o', 'ControlPersist=60s'], 'ssh_debug_level': 0,
            'compression': True, 'keepalive_interval': 30, 'keepalive_count': 10, 'remote_name': None, 'identities_only': False},
    'sudo': {'username': 'root', 'password': None, 'sudo_path': 'sudo', 'sudo_args': ['-H', '-S', '-n'], 'remote_name': None},
    'su': {'username': 'root', 'password': None, 'su_path': 'su', 'remote_name': None},
    'doas': {'username': 'root', 'password': None, 'doas_path': 'doas', 'remote_name': None},
}
# By environment variables and by ansible.cfg: what holds for all, and the more special names.
ENVIRONMENT = (
    dict(ANSIBLE_REMOTE_USER='a', ANSIBLE_REMOTE_PORT='1001', ANSIBLE_PRIVATE_KEY_FILE='/a', ANSIBLE_HOST_KEY_CHECKING='false', ANSIBLE_TIMEOUT='21',
         ANSIBLE_SSH_ARGS='-4', ANSIBLE_SSH_COMMON_ARGS='-a', ANSIBLE_SSH_EXTRA_ARGS='-q', ANSIBLE_SSH_EXECUTABLE='/opt/ssh',
         ANSIBLE_BECOME_USER='r', ANSIBLE_BECOME_PASS='s', ANSIBLE_BECOME_EXE='/sudo', ANSIBLE_BECOME_FLAGS='-E'),
    dict(ANSIBLE_SSH_TIMEOUT='22', ANSIBLE_SUDO_USER='u', ANSIBLE_SUDO_PASS='v', ANSIBLE_SUDO_EXE='/sudo2', ANSIBLE_SUDO_FLAGS='-k'),
)
CONFIG = (
    '[defaults]\nremote_user = a\nremote_port = 1001\nprivate_key_file = /a\nhost_key_checking = false\ntimeout = 21\n'
    '[privilege_escalation]\nbecome_user = r\nbecome_exe = /sudo\nbecome_flags = -E\n'
    '[ssh_connection]\nssh_args = -4\nssh_common_args = -a\nssh_extra_args = -q\nssh_executable = /opt/ssh\n',
    'timeout = 22\n[sudo_become_plugin]\nuser = u\npassword = v\nexecutable = /sudo2\nflags = -k\n',
)
GENERAL = {'username': 'a', 'port': 1001, 'identity_file': '/a', 'check_host_keys': 'ignore', 'connect_timeout': 21, 'ssh_args': ['-4', '-a', '-q'],
           'ssh_path': '/opt/ssh'}
GENERAL_SUDO = {'username': 'r', 'sudo_path': '/sudo', 'sudo_args': ['-E']}
SPECIAL = {'connect_timeout': 21}  # with every Ansible: -T is there even where nobody gave it, and stands for the general one
SPECIAL_SUDO = {'username': 'u', 'password': 'v', 'sudo_path': '/sudo2', 'sudo_args': ['-k']}

HEAD = '- hosts: shown\n  gather_facts: false\n%s  tasks:\n'


def typed(password):
    """A password that was typed in, as it is shown: releases that have the means mask it wherever it turns up."""
    return '$REDACTED$' if hasattr(compat.optional('ansible.module_utils', 'secrets'), 'mask_secrets') else password


class PrecedenceTest(PlaybookCase):
    def stacks(self, inventory, keywords='', **more):
        """What mitogen_get_stack says of each host of the group shown: {host: {method: arguments of its first hop}}."""
        self.play('  - mitogen_get_stack: {show_passwords: true}\n', inventory=inventory, head=HEAD % keywords, **more)
        found = {}
        for host, text in re.findall(r'^changed: \[(\S+)\] => (\{$.*?^\})', self.output, re.M | re.S):
            found[host] = {}
            for hop in json.loads(text)['result']:
                found[host].setdefault(hop['method'], hop['kwargs'])
        return found

    def look(self, stacks, host, method, wanted):
        kwargs = stacks[host][method]
        self.assertEqual(dict((key, kwargs[key]) for key in wanted), wanted, host)

    def rows(self, method, rows, become='', via=None):
        """Hosts that have the first variables of each row, and hosts that these are on the way to."""
        direct, behind, wanted = '', '', {}
        for row in rows:
            key, variables = row[0], row[1:]
            for n in range(1 + len(variables)):
                name = '%s_%d' % (key, n)
                direct += '%s ansible_connection=ssh %s %s\n' % (name, become, ' '.join('%s=%s' % pair[:2] for pair in variables[:n]))
                want = variables[n - 1][2] if n else name if key == 'hostname' else DEFAULTS[method].get(key)
                if isinstance(want, str):
                    want = want.format(home=self.directory)
                if n or key != 'python_path':
                    wanted[name] = {key: want}
                if via:
                    behind += 'to_%s ansible_connection=local mitogen_via=%s%s\n' % (name, via, name)
                    if name in wanted:
                        wanted['to_' + name] = wanted[name]
        interpreter = '[all:vars]\nansible_python_interpreter=/usr/bin/python3\n'
        stacks = self.stacks('[shown]\n' + direct + behind + interpreter)
        for host, want in wanted.items():
            if method != 'ssh' and host.startswith('to_username'):
                continue
            self.look(stacks, host, method, want)
        return stacks

    def test_variables_of_ssh(self):
        stacks = self.rows('ssh', SSH, via='')
        self.look(stacks, 'password_0', 'ssh', dict(DEFAULTS['ssh'], hostname='password_0', python_path=['/usr/bin/python3']))
        self.assertEqual(set(stacks['password_0']['ssh']), set(DEFAULTS['ssh']) | {'hostname', 'python_path'})

    def test_variables_of_sudo(self):
        stacks = self.rows('sudo', SUDO, 'ansible_become=true', via='root@')
        self.look(stacks, 'password_0', 'sudo', dict(DEFAULTS['sudo'], connect_timeout=10, python_path=['/usr/bin/python3']))
        self.assertEqual(stacks['to_username_2']['sudo']['username'], 'root', 'what mitogen_via says')

    def test_what_a_password_comes_to_is_no_template(self):
        with open(os.path.join(self.directory, 'key'), 'w') as f:
            f.write('key')
        words = dict((name, VaultLib([('default', VaultSecret(b'key'))]).encrypt(word).decode().replace('\n', '\n          '))
                     for name, word in (('login', 'a{{zz}}b'), ('root', 'c{{zz}}{%d')))
        inventory = ('all:\n  vars: {ansible_connection: ssh, ansible_become: true, ansible_python_interpreter: /usr/bin/python3, zz: TEMPLATED}\n'
                     '  children: {shown: {hosts: {far: {ansible_connection: local, ansible_become: false, mitogen_via: "root@web"}, web: {}, led: {ansible_password: "{{ named }}", ansible_become_password: "{{ of_root }}"}}}}\n'
                     '  hosts:\n    web:\n      ansible_password: !vault |\n          %s\n      ansible_become_password: !vault |\n          %s\n'
                     '    led:\n      named: !vault |\n          %s\n      of_root: !vault |\n          %s\n' % ((words['login'], words['root']) * 2))
        stacks = self.stacks(inventory, ANSIBLE_VAULT_PASSWORD_FILE='key', ANSIBLE_INVENTORY_UNPARSED_FAILED='1')
        for host in ('web', 'far', 'led'):
            # The option itself is templated twice by 2.10 where it is encrypted in place, so that stock ssh gets that.
            twice = host == 'web' and release.__version__.startswith('2.10.')
            self.look(stacks, host, 'ssh', {'password': typed('aTEMPLATEDb' if twice else 'a{{zz}}b')})
            self.look(stacks, host, 'sudo', {'password': typed('c{{zz}}{%d')})

    def test_variables_of_su(self):
        stacks = self.rows('su', SU, 'ansible_become=true ansible_become_method=su', via='su:@')
        self.assertEqual([stacks['to_username_%d' % n]['su']['username'] for n in range(3)], ['root', 'a', 'b'])

    def test_variables_of_doas_on_the_way(self):
        inventory, wanted = '', {}
        for row in DOAS:
            for n in range(len(row)):
                inventory += 'to_%s_%d ansible_connection=local mitogen_via=doas:@%s_%d\n' % (row[0], n, row[0], n)
                wanted['to_%s_%d' % (row[0], n)] = {row[0]: row[n][2] if n else DEFAULTS['doas'][row[0]]}
        inventory += '[gates]\n' + ''.join('%s_%d ansible_connection=ssh %s\n' % (row[0], n, ' '.join('%s=%s' % pair[:2] for pair in row[1:n + 1]))
                                           for row in DOAS for n in range(len(row)))
        stacks = self.stacks('[shown]\n' + inventory + '[all:vars]\nansible_python_interpreter=/usr/bin/python3\n')
        for host, want in wanted.items():
            self.look(stacks, host, 'doas', want)

    def test_settings_of_doas_on_the_way(self):
        inventory = ('[shown]\nfar ansible_connection=local mitogen_via=doas:@gate\n[gates]\ngate ansible_connection=ssh\n'
                     '[all:vars]\nansible_python_interpreter=/usr/bin/python3\n')
        general = dict(ANSIBLE_BECOME_USER='r', ANSIBLE_BECOME_PASS='s', ANSIBLE_BECOME_EXE='/a')
        path = os.path.join(self.directory, 'ansible.cfg')
        with open(path, 'w') as f:
            f.write('[privilege_escalation]\nbecome_exe = /c\n[doas_become_plugin]\nuser = w\npassword = x\n')
        for more, wanted in ((general, {'username': 'r', 'password': 's', 'doas_path': '/a'}),
                             (dict(general, ANSIBLE_DOAS_USER='u', ANSIBLE_DOAS_PASS='v', ANSIBLE_DOAS_EXE='/b'), {'username': 'u', 'password': 'v', 'doas_path': '/b'}),
                             ({'ANSIBLE_CONFIG': path}, {'username': 'w', 'password': 'x', 'doas_path': '/c'})):
            self.look(self.stacks(inventory, **more), 'far', 'doas', wanted)

    def both(self, wanted, wanted_sudo, **more):
        """A host with no variables, and one behind such a host."""
        stacks = self.stacks('[shown]\nweb ansible_connection=ssh ansible_become=true\nfar ansible_connection=local mitogen_via=sudo:@gate\n'
                             '[gates]\ngate ansible_connection=ssh\n[all:vars]\nansible_python_interpreter=/usr/bin/python3\n', **more)
        for host in ('web', 'far'):
            self.look(stacks, host, 'ssh', wanted)
            self.look(stacks, host, 'sudo', wanted_sudo)

    def test_environment(self):
        self.both(GENERAL, dict(GENERAL_SUDO, password='s'), **ENVIRONMENT[0])
        self.both(dict(GENERAL, **SPECIAL), SPECIAL_SUDO, **dict(ENVIRONMENT[0], **ENVIRONMENT[1]))
        self.both({'check_host_keys': 'ignore'}, {}, ANSIBLE_HOST_KEY_CHECKING='true', ANSIBLE_SSH_HOST_KEY_CHECKING='false')

    def test_configuration(self):
        path = os.path.join(self.directory, 'ansible.cfg')
        for text, wanted, sudo in ((CONFIG[0], GENERAL, GENERAL_SUDO), (''.join(CONFIG), dict(GENERAL, **SPECIAL), SPECIAL_SUDO)):
            with open(path, 'w') as f:
                f.write(text)
            self.both(wanted, sudo, ANSIBLE_CONFIG=path)

    def test_the_same_user(self):
        inventory = ('[shown]\nweb ansible_connection=ssh ansible_user=bob ansible_become=true ansible_become_user=bob\n'
                     'to_web ansible_connection=local mitogen_via=bob@web\n[all:vars]\nansible_python_interpreter=/usr/bin/python3\n')
        path = os.path.join(self.directory, 'other.cfg')
        with open(path, 'w') as f:
            f.write('[privilege_escalation]\nbecome_allow_same_user = true\n')
        for more, there in (({}, False), ({'ANSIBLE_BECOME_ALLOW_SAME_USER': 'true'}, True), ({'ANSIBLE_CONFIG': path}, True)):
            stacks = self.stacks(inventory, **more)
            self.assertEqual(['sudo' in stacks[host] for host in ('web', 'to_web')], [there, there], more)

    def test_keywords_and_the_command_line_are_for_the_tasks_own_host(self):
        for name, text in (('login', 'typed-k'), ('become', 'typed-K')):
            with open(os.path.join(self.directory, name), 'w') as f:
                f.write(text + '\n')
        files = ['--connection-password-file', 'login', '--become-password-file', 'become']
        if not hasattr(C, 'CONNECTION_PASSWORD_FILE'):  # before ansible-core 2.12
            files = []
        from_file = typed if files else lambda password: None
        stacks = self.stacks(
            '[shown]\nweb ansible_connection=ssh\nvars ansible_connection=ssh ansible_user=v ansible_port=3 ansible_become_user=w ansible_become_exe=/v '
            'ansible_become_flags=-v ansible_password=v ansible_become_password=v\n'
            'far ansible_connection=local mitogen_via=root@gate\n[gates]\ngate ansible_connection=ssh\n[all:vars]\nansible_python_interpreter=/usr/bin/python3\n',
            keywords='  remote_user: k\n  port: 1\n  become: true\n  become_user: r\n  become_exe: /k\n  become_flags: -k\n',
            args=files + ['--private-key', '/k', '-T', '31', '--ssh-common-args=-a', '--ssh-extra-args=-q', '-u', 'u'])
        self.look(stacks, 'web', 'ssh', {'username': 'k', 'port': 1, 'identity_file': '/k', 'connect_timeout': 31, 'password': from_file('typed-k')})
        self.assertEqual(stacks['web']['ssh']['ssh_args'][-2:], ['-a', '-q'])
        self.look(stacks, 'web', 'sudo', {'username': 'r', 'sudo_path': '/k', 'sudo_args': ['-k'], 'password': from_file('typed-K')})
        self.look(stacks, 'vars', 'ssh', {'username': 'v', 'port': 3, 'password': 'v'})
        self.look(stacks, 'vars', 'sudo', {'username': 'w', 'sudo_path': '/v', 'sudo_args': ['-v'], 'password': 'v'})
        self.look(stacks, 'far', 'ssh', {'username': None, 'port': None, 'password': from_file('typed-k')})
        self.look(stacks, 'far', 'sudo', {'username': 'root', 'sudo_path': 'sudo', 'sudo_args': ['-H', '-S', '-n'], 'password': from_file('typed-K')})

    def test_the_command_line_is_stronger_than_configuration(self):
        path = os.path.join(self.directory, 'other.cfg')
        with open(path, 'w') as f:
            f.write('[defaults]\nprivate_key_file = /c\n[ssh_connection]\nssh_common_args = -4\nssh_extra_args = -6\n')
        stacks = self.stacks('[shown]\nweb ansible_connection=ssh\nvars ansible_connection=ssh ansible_private_key_file=/v ansible_ssh_common_args=-y\n'
                             '[all:vars]\nansible_python_interpreter=/usr/bin/python3\n',
                             args=['--private-key', '/k', '--ssh-common-args=-a', '--ssh-extra-args=-q'], ANSIBLE_CONFIG=path)
        for host, key, words in (('web', '/k', ['-a', '-q']), ('vars', '/v', ['-y', '-q'])):
            self.look(stacks, host, 'ssh', {'identity_file': key})
            self.assertEqual(stacks[host]['ssh']['ssh_args'][-2:], words)
        self.look(self.stacks('[shown]\nweb ansible_connection=ssh\n', ANSIBLE_CONFIG=path), 'web', 'ssh', {'identity_file': '/c'})

    def test_arguments_that_check_host_keys_are_stronger_than_not_to(self):
        words = '-o StrictHostKeyChecking=yes'
        stacks = self.stacks('[shown]\nfirst ansible_connection=ssh ansible_ssh_args="%s"\nlater ansible_connection=ssh ansible_ssh_common_args="%s"\n'
                             % (words, words), ANSIBLE_HOST_KEY_CHECKING='false')
        self.look(stacks, 'first', 'ssh', {'check_host_keys': 'config'})
        self.look(stacks, 'later', 'ssh', {'check_host_keys': 'ignore'})

    def test_what_newer_releases_have(self):
        connection_loader.get('ssh', class_only=True)
        if 'password_mechanism' not in C.config.get_configuration_definitions('connection', 'ssh'):
            self.skipTest('releases from 2.19 on')
        stacks = self.stacks('[shown]\nweb ansible_connection=ssh ansible_password=p ansible_ssh_password_mechanism=disable\n'
                             'own ansible_connection=local ansible_become=true ansible_become_user=app ansible_timeout=3\n'
                             'slow ansible_connection=local ansible_become=true ansible_become_user=app ansible_local_become_success_timeout=60\n')
        self.look(stacks, 'web', 'ssh', {'password': None})
        self.look(stacks, 'own', 'sudo', {'connect_timeout': 10})
        self.look(stacks, 'slow', 'sudo', {'connect_timeout': 60})

    def test_arguments_of_the_command_line_are_for_delegates_too(self):
        self.play('  - {mitogen_get_stack: , delegate_to: other}\n', inventory='one ansible_connection=local\n[more]\nother ansible_connection=ssh ansible_python_interpreter=/usr/bin/python3\n',
                  head='- hosts: one\n  gather_facts: false\n  tasks:\n', args=['--ssh-common-args=-a', '--ssh-extra-args=-q'])
        found = re.search(r'^changed: \[.*?\] => (\{$.*?^\})', self.output, re.M | re.S)
        self.assertEqual(json.loads(found.group(1))['result'][0]['kwargs']['ssh_args'][-2:], ['-a', '-q'])

    def test_settings_of_a_delegate_are_templated_with_its_own_variables(self):
        self.play('  - mitogen_get_stack:\n    delegate_to: box\n  - mitogen_get_stack:\n    delegate_to: "{{ there }}"\n  - mitogen_get_stack:\n    delegate_to: account\n',
                  head='- hosts: own\n  gather_facts: false\n  tasks:\n',
                  inventory='own ansible_connection=ssh app=wrong name=wrong jump=wrong there=box\n[more]\ngate ansible_connection=ssh\n'
                            'box ansible_connection=docker ansible_host="{{ name }}" name=right ansible_user="{{ app }}" app=postgres mitogen_via="{{ jump }}" jump=gate\n'
                            'account ansible_connection=mitogen_sudo ansible_user="{{ app }}" app=postgres mitogen_via="{{ jump }}" jump=gate\n'
                            '[all:vars]\nansible_python_interpreter=/usr/bin/python3\n')
        found = [[(hop['method'], hop['kwargs'].get('container') or hop['kwargs'].get('hostname'), hop['kwargs'].get('username')) for hop in json.loads(text)['result']]
                 for text in re.findall(r'^changed: \[.*?\] => (\{$.*?^\})', self.output, re.M | re.S)]
        user = 'postgres' if hasattr(C, 'CONNECTION_PASSWORD_FILE') else 'wrong'  # that of the play context, up to 2.11
        box = [('ssh', 'gate', None), ('docker', 'right', user)]
        self.assertEqual(found, [box, box, [('ssh', 'gate', None), ('sudo', None, user)]])

    def test_a_become_plugin_of_the_sites_own(self):
        """It counts, though it is called sudo; on the way it is ours, which mitogen_via means."""
        inventory = ('[shown]\nweb ansible_connection=ssh ansible_become=true\nfar ansible_connection=local mitogen_via=sudo:root@gate\n'
                     '[gates]\ngate ansible_connection=ssh\n[all:vars]\nansible_python_interpreter=/usr/bin/python3\n')
        self.assertEqual(set(self.stacks(inventory)['web']), {'ssh', 'sudo'})
        os.mkdir(os.path.join(self.directory, 'become_plugins'))
        shutil.copy(become_sudo.__file__, os.path.join(self.directory, 'become_plugins', 'sudo.py'))
        stacks = self.stacks(inventory)
        self.assertEqual([set(stacks[host]) for host in ('web', 'far')], [{'ssh', 'become'}, {'ssh', 'sudo', 'local'}])
        self.assertRegex(stacks['web']['become']['command'], '^sudo -H -S -n +-u root /bin/sh -c ')

    def test_accounts_as_connections(self):
        stacks = self.stacks(
            '[shown]\n' + ''.join('%s ansible_connection=mitogen_%s ansible_user=bob ansible_password=x ansible_timeout=33 mitogen_mask_remote_name=yes\n' % (name, name)
                                  for name in ('sudo', 'su', 'doas')) + '[all:vars]\nansible_python_interpreter=/usr/bin/python3\n')
        for name in ('sudo', 'su', 'doas'):
            self.look(stacks, name, name, {'username': 'bob', 'password': 'x', 'connect_timeout': 33, 'remote_name': 'ansible'})

    def test_templates(self):
        """All of them may be templated, for the task's own host and for those on the way."""
        direct = behind = ''
        wanted = {}
        for row in SSH:
            key, (name, _, _) = row[0], row[1]
            value = {'port': '1001', 'check_host_keys': 'no', 'connect_timeout': '41', 'ssh_debug_level': '1', 'compression': 'no', 'keepalive_interval': '7',
                     'keepalive_count': '8', 'remote_name': 'yes', 'ssh_args': '-4'}.get(key, '/x')
            direct += "t_%s ansible_connection=ssh %s='{{ given_%s }}' given_%s='%s'\n" % (key, name, key, key, value)
            behind += 'to_%s ansible_connection=local mitogen_via=\'{{ "t_" ~ "%s" }}\'\n' % (key, key)
            wanted[key] = {'port': 1001, 'check_host_keys': 'ignore', 'connect_timeout': 41, 'ssh_debug_level': 1, 'compression': False,
                           'keepalive_interval': 7, 'keepalive_count': 8, 'remote_name': 'ansible', 'ssh_args': ['-4'], 'python_path': ['/x']}.get(key, '/x')
        stacks = self.stacks('[shown]\n' + direct + behind + '[all:vars]\nansible_python_interpreter=/usr/bin/python3\n')
        for key, want in wanted.items():
            for host in ('t_' + key, 'to_' + key):
                self.look(stacks, host, 'ssh', {key: want})


class WholeTest(unittest.TestCase):
    """Options of ours whose variables hold more than a text."""

    def variables(self, text, secrets=()):
        """Variables as Ansible reads them from a file, and what works out their templates."""
        loader = DataLoader()
        loader.set_vault_secrets(list(secrets))
        with tempfile.NamedTemporaryFile('w', suffix='.yml') as f:
            f.write(text)
            f.flush()
            trusted = {'trusted_as_template': True} if 'trusted_as_template' in inspect.signature(loader.load_from_file).parameters else {}
            found = loader.load_from_file(f.name, **trusted)
        return found, Templar(loader=loader, variables=found)

    def test_templates_inside(self):
        variables, templar = self.variables(
            'word: open\nansible_docker_extra_env: {A: "{{ word }}", B: plain}\nansible_kubectl_kubeconfig: {users: [{name: "{{ word }}"}]}\n'
            'ansible_docker_tls: true\nansible_docker_timeout: 7\n')
        self.assertEqual(config.own('docker', 'extra_env', variables, templar), {'A': 'open', 'B': 'plain'})
        self.assertEqual(config.own('kubectl', 'kubeconfig', variables, templar), {'users': [{'name': 'open'}]})
        self.assertIs(config.own('docker', 'tls', variables, templar), True)
        self.assertEqual(config.own('docker', 'timeout', variables, templar), 7)

    def test_what_is_encrypted(self):
        secrets = [('default', VaultSecret(b'key'))]
        context = compat.optional('ansible.parsing.vault', 'VaultSecretsContext')
        if context is not None:
            patch = mock.patch.object(context, '_current', context(secrets))
            patch.start()
            self.addCleanup(patch.stop)
        envelope = VaultLib(secrets).encrypt('sesame').decode().replace('\n', '\n    ')
        variables, templar = self.variables('ansible_kubectl_token: !vault |\n    %s\nansible_docker_extra_env: {A: !vault "%s"}\n' % (
            envelope, envelope.replace('\n    ', '\\n')), secrets)
        token = config.own('kubectl', 'token', variables, templar)
        self.assertIsInstance(token, str)
        self.assertEqual(token, 'sesame')
        self.assertEqual(compat.plain(config.own('docker', 'extra_env', variables, templar)['A']), 'sesame')


if __name__ == '__main__':
    unittest.main()
