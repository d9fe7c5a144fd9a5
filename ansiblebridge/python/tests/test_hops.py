"""Hops of every method, and those that mitogen_via puts in front."""
import unittest
from unittest import mock

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.loader import become_loader

from spindle_ansible import config, hops, methods, runtime, settings, sources, via
from tests.test_settings import Plugin, PlayContext, connection

PYTHON = {'ansible_python_interpreter': '/usr/bin/python3'}


class HopsTest(unittest.TestCase):
    def way(self, method, hostvars=None, become=None, **variables):
        variables = dict(PYTHON, inventory_hostname='web1', **variables)
        hostvars = dict((name, dict(found, inventory_hostname=name)) for name, found in (hostvars or {}).items())
        context = PlayContext()
        context.remote_addr = variables.get('ansible_host', 'web1')
        context.remote_user = variables.get('ansible_user')
        conn = connection(method, become)
        conn._play_context = context
        return via.way(sources.Target(conn, variables, None), settings.Interpreter(variables, None), conn._shell, hostvars)

    def only(self, method, **variables):
        hop, = self.way(method, **variables)
        self.assertEqual(set(hops.STACK[hop['method']]) - set(hop['kwargs']), set())
        return hop['kwargs']

    def test_containers(self):
        for method in ('docker', 'podman', 'buildah', 'jail'):
            kwargs = self.only(method, ansible_host='c1', ansible_user='bob')
            self.assertEqual((kwargs['container'], kwargs['username'], kwargs['connect_timeout']), ('c1', 'bob', 10))
            self.assertEqual(set(kwargs), set(hops.STACK[method]), 'nothing is set that the user has not asked for')
            self.assertIsNone(self.only(method)['username'])
        for method, path in (('docker', 'docker_path'), ('podman', 'podman_path'), ('buildah', 'buildah_path')):
            kwargs = self.only(method, **{'mitogen_' + path: '/opt/it', 'ansible_%s_extra_args' % method: '--a "b c"'})
            self.assertEqual((kwargs[path], kwargs['extra_args']), ('/opt/it', ['--a', 'b c']))
        kwargs = self.only('docker', ansible_docker_docker_host='tcp://d:2376', ansible_docker_tls='yes',
                           ansible_docker_cacert_path='/ca')
        self.assertEqual(kwargs['extra_args'], ['--host', 'tcp://d:2376', '--tlscacert', '/ca', '--tls'])

    def test_options_of_docker_exec(self):
        kwargs = self.only('docker', ansible_docker_extra_env={'A': 'b c'}, ansible_docker_working_dir='/srv', ansible_docker_privileged='yes')
        self.assertEqual(kwargs['exec_args'], ['--env=A=b c', '--workdir=/srv', '--privileged'])
        self.assertNotIn('exec_args', self.only('docker', ansible_docker_privileged='no'))
        with self.assertRaises(AnsibleConnectionFailure):
            self.only('docker', ansible_docker_extra_env={'A': 1})
        self.assertEqual(self.only('podman', ansible_host='a', ansible_podman_host='b')['container'], 'b')

    def test_options_of_podman_and_buildah(self):
        kwargs = self.only('podman', ansible_podman_extra_env={'A': 'b c', 'B': 1}, ansible_podman_working_directory='/srv',
                           ansible_podman_privilege_escalation='sudo', ansible_podman_timeout=33)
        self.assertEqual((kwargs['exec_args'], kwargs['escalation'], kwargs['connect_timeout']), (['--env=A=b c', '--env=B=1', '--workdir=/srv'], 'sudo', 33))
        self.assertEqual(hops.hidden(kwargs)['exec_args'], ['--env=A=********', '--env=B=********', '--workdir=/srv'])
        for way in ('auto', 'none'):
            self.assertNotIn('escalation', self.only('podman', ansible_podman_privilege_escalation=way))
        kwargs = self.only('buildah', ansible_buildah_extra_env={'A': 'b'}, ansible_buildah_working_directory='/srv', ansible_buildah_timeout=33,
                           ansible_buildah_host='b1')
        self.assertEqual((kwargs['exec_args'], kwargs['connect_timeout'], kwargs['container']), (['--env=A=b', '--workingdir=/srv'], 33, 'b1'))
        with mock.patch.dict('os.environ', {'ANSIBLE_PODMAN_TIMEOUT': '34', 'ANSIBLE_BUILDAH_TIMEOUT': '35', 'ANSIBLE_BUILDAH_WORKING_DIRECTORY': '/e'}):
            self.assertEqual(self.only('podman')['connect_timeout'], 34)
            kwargs = self.only('buildah')
            self.assertEqual((kwargs['connect_timeout'], kwargs['exec_args']), (35, ['--workingdir=/e']))
        for method in ('docker', 'podman', 'buildah'):
            with self.assertRaisesRegex(AnsibleConnectionFailure, 'ansible_%s_extra_env must be a dictionary' % method):
                self.only(method, **{'ansible_%s_extra_env' % method: 'A=b'})

    def test_the_ssh_program_can_be_asked_for(self):
        self.assertEqual(self.only('ssh', spindle_ssh='binary')['spindle_ssh'], 'binary')
        self.assertNotIn('spindle_ssh', self.only('ssh'))
        self.assertNotIn('spindle_ssh', self.only('docker', spindle_ssh='binary'))
        way = self.way('local', {'b': dict(PYTHON, ansible_connection='ssh', spindle_ssh='binary')}, mitogen_via='b')
        self.assertEqual(way[0]['kwargs']['spindle_ssh'], 'binary')

    def test_the_special_variable_counts(self):
        kwargs = self.only('docker', ansible_host='a', ansible_docker_host='b', ansible_user='c', ansible_docker_user='d')
        self.assertEqual((kwargs['container'], kwargs['username']), ('b', 'd'))
        with mock.patch.dict('os.environ', {'ANSIBLE_REMOTE_USER': 'env'}):
            self.assertEqual(self.only('podman', ansible_user='task')['username'], 'task')
        kwargs = self.only('kubectl', ansible_kubectl_username='a', ansible_kubectl_user='b')
        self.assertEqual(kwargs['kubectl_args'], ['--username', 'b'])
        kwargs = self.only('sudo', ansible_become_exe='a', ansible_sudo_exe='b')
        self.assertEqual(kwargs['sudo_path'], 'b')
        way = self.way('local', {'b': dict(PYTHON, ansible_connection='docker', ansible_user='x', ansible_docker_user='y')},
                       mitogen_via='b')
        self.assertEqual(way[0]['kwargs']['username'], 'y')

    def test_a_host_may_have_no_way_though_its_group_has_one(self):
        for value in (False, None, '', '__omit_place_holder__0815'):
            self.only('local', mitogen_via=value)
            way = self.way('local', {'b': dict(PYTHON, mitogen_via=value)}, mitogen_via='b')
            self.assertEqual(len(way), 2)

    def test_time_limits(self):
        with mock.patch.dict('os.environ', {'ANSIBLE_TIMEOUT': '20'}):
            self.assertEqual(self.only('podman')['connect_timeout'], 10, 'what Ansible has worked out for the task')
            self.assertEqual(self.only('ssh')['connect_timeout'], 10, 'the same')
            self.assertEqual(self.only('docker', ansible_docker_timeout=33)['connect_timeout'], 33)
            way = self.way('local', {'b': dict(PYTHON), 'c': dict(PYTHON, ansible_timeout=44)}, mitogen_via='b')
            self.assertEqual(way[0]['kwargs']['connect_timeout'], 20)
            way = self.way('local', {'c': dict(PYTHON, ansible_timeout=44)}, mitogen_via='c')
            self.assertEqual(way[0]['kwargs']['connect_timeout'], 44)

    def test_instances(self):
        self.assertEqual(self.only('lxc', mitogen_lxc_attach_path='/l')['lxc_attach_path'], '/l')
        self.assertEqual(self.only('lxc')['lxc_attach_path'], 'lxc-attach')
        kwargs = self.only('lxd', ansible_host='x1.example.org', ansible_lxd_remote='far', ansible_lxd_project='p')
        self.assertEqual((kwargs['container'], kwargs['remote'], kwargs['project'], kwargs['lxc_path']),
                         ('x1', 'far', 'p', 'lxc'))
        kwargs = self.only('incus', ansible_incus_project='p', mitogen_incus_path='/i')
        self.assertEqual((kwargs['incus_path'], kwargs['project']), ('/i', 'p'))
        self.assertEqual(self.only('incus')['incus_path'], 'incus')
        self.assertEqual(self.only('lxd', mitogen_lxc_path='/snap/bin/lxc')['lxc_path'], '/snap/bin/lxc')

    def test_accounts_of_instances(self):
        """They count where the installed collection has them count; in Mitogen, and with earlier collections, everything is root's."""
        for method in ('lxd', 'incus'):
            for known in (True, False):
                with mock.patch('spindle_ansible.config.knows', lambda *asked: known):
                    kwargs = self.only(method, ansible_user='bob', **{method + '_become_method': '/sbin/su'})
                    self.assertEqual((kwargs.get('username'), kwargs.get('su')), ('bob', '/sbin/su') if known else (None, None))
                    self.assertNotIn('username', self.only(method, ansible_user='root'))
                    self.assertNotIn('username', self.only(method))
                    self.assertNotIn('su', self.only(method, ansible_user='bob'))
        self.assertFalse(config.knows('connection', 'no.such.plugin', 'remote_user'))
        self.assertTrue(config.knows('connection', 'ssh', 'remote_user'))

    def test_become_counts_from_the_account_that_an_instance_is_entered_as(self):
        """That is root, whoever ansible_user is, but where the collection changes over to that."""
        become = Plugin(become_user=None, become_pass=None, become_exe=None, become_flags=None)
        become.name = 'sudo'
        for method in ('lxc', 'lxd', 'incus'):
            for known in (True, False):
                there = known and method != 'lxc'
                with mock.patch('spindle_ansible.config.knows', lambda *asked: known):
                    for user, to, hop in (('deploy', 'deploy', not there), ('deploy', None, there), (None, None, False), (None, 'deploy', True)):
                        become.options['become_user'] = to
                        way = self.way(method, become=become, **({'ansible_user': user} if user else {}))
                        self.assertEqual(len(way) == 2, hop, (method, known, user, to))
            hostvars = {'ct': dict(PYTHON, ansible_connection=method)}
            self.assertEqual(len(self.way('ssh', hostvars, mitogen_via='root@ct')), 2)
            self.assertEqual(len(self.way('ssh', hostvars, mitogen_via='deploy@ct')), 3)
        become.options['become_user'] = None
        self.assertEqual(len(self.way('docker', become=become)), 2, 'nobody says who that is')
        self.assertEqual(len(self.way('setns', become=become, mitogen_kind='docker')), 2, 'as in Mitogen')

    def test_kubectl(self):
        kwargs = self.only('kubectl', ansible_kubectl_container='app', ansible_kubectl_namespace='ns',
                           ansible_kubectl_verify_ssl='no', ansible_kubectl_cert_file='/c', ansible_kubectl_pod='pod1',
                           mitogen_kubectl_path='/k')
        self.assertEqual(kwargs['kubectl_args'], [
            '-c', 'app', '-n', 'ns', '--client-certificate', '/c', '--insecure-skip-tls-verify=true'])
        self.assertEqual((kwargs['pod'], kwargs['kubectl_path']), ('pod1', '/k'))
        self.assertEqual(self.only('kubectl', ansible_host='p')['kubectl_args'], [])
        with self.assertRaisesRegex(AnsibleConnectionFailure, 'ansible_kubectl_context must be a text'):
            self.only('kubectl', ansible_kubectl_context={'a': 'b'})

    def test_a_configuration_of_kubectl_that_is_written_out(self):
        kwargs = self.only('kubectl', ansible_kubectl_kubeconfig={'users': [{'name': 'me', 'user': {'token': 'sesame'}}]}, ansible_kubectl_namespace='ns')
        self.assertEqual(kwargs['kubectl_args'], ['-n', 'ns'])
        self.assertEqual(kwargs['kubeconfig'], {'users': [{'name': 'me', 'user': {'token': 'sesame'}}]})
        self.assertNotIn('sesame', str(hops.hidden(kwargs)))
        self.assertNotIn('kubeconfig', self.only('kubectl', ansible_kubectl_kubeconfig={}))

    def test_every_option_of_kubectl(self):
        for flag, *names in (
                ('-c', 'ansible_kubectl_container', 'K8S_AUTH_CONTAINER'), ('-n', 'ansible_kubectl_namespace', 'K8S_AUTH_NAMESPACE'),
                ('--kubeconfig', 'ansible_kubectl_kubeconfig', 'ansible_kubectl_config', 'K8S_AUTH_KUBECONFIG'),
                ('--context', 'ansible_kubectl_context', 'K8S_AUTH_CONTEXT'),
                ('--server', 'ansible_kubectl_host', 'ansible_kubectl_server', 'K8S_AUTH_HOST', 'K8S_AUTH_SERVER'),
                ('--username', 'ansible_kubectl_username', 'ansible_kubectl_user', 'K8S_AUTH_USERNAME'),
                ('--password', 'ansible_kubectl_password', 'K8S_AUTH_PASSWORD'),
                ('--token', 'ansible_kubectl_token', 'ansible_kubectl_api_key', 'K8S_AUTH_TOKEN', 'K8S_AUTH_API_KEY'),
                ('--client-certificate', 'ansible_kubectl_cert_file', 'ansible_kubectl_client_cert', 'K8S_AUTH_CERT_FILE'),
                ('--client-key', 'ansible_kubectl_key_file', 'ansible_kubectl_client_key', 'K8S_AUTH_KEY_FILE'),
                ('--certificate-authority', 'ansible_kubectl_ssl_ca_cert', 'ansible_kubectl_ca_cert', 'K8S_AUTH_SSL_CA_CERT')):
            for name in names:
                with mock.patch.dict('os.environ', {name: 'x'} if name.startswith('K8S') else {}):
                    kwargs = self.only('kubectl', **({} if name.startswith('K8S') else {name: 'x'}))
                    self.assertEqual(kwargs['kubectl_args'], [flag, 'x'], name)
                    self.assertEqual(self.only('kubectl', **{names[0]: 'y'})['kubectl_args'], [flag, 'y'], 'a variable counts more than the environment')
        for name in ('ansible_kubectl_verify_ssl', 'ansible_kubectl_validate_certs', 'K8S_AUTH_VERIFY_SSL'):
            for value, skip in (('no', 'true'), ('false', 'true'), ('yes', 'false'), ('True', 'false')):
                with mock.patch.dict('os.environ', {name: value} if name.startswith('K8S') else {}):
                    kwargs = self.only('kubectl', **({} if name.startswith('K8S') else {name: value}))
                    self.assertEqual(kwargs['kubectl_args'], ['--insecure-skip-tls-verify=' + skip], name)
        self.assertEqual(self.only('kubectl', ansible_kubectl_validate_certs=False)['kubectl_args'], ['--insecure-skip-tls-verify=true'])
        kwargs = self.only('kubectl', ansible_kubectl_extra_args='--as "the admin"', ansible_kubectl_local_env_vars={'A': 1}, ansible_user='bob')
        self.assertEqual((kwargs['kubectl_args'], kwargs['env']), (['--as', 'the admin'], {'A': '1'}), 'there are no accounts')
        with mock.patch.dict('os.environ', {'K8S_AUTH_POD': 'env', 'K8S_AUTH_EXTRA_ARGS': '-v=9'}):
            kwargs = self.only('kubectl', ansible_host='host')
            self.assertEqual((kwargs['pod'], kwargs['kubectl_args']), ('env', ['-v=9']))

    def test_what_is_shown_holds_no_secrets(self):
        kwargs = self.only('kubectl', ansible_kubectl_token='sesame', ansible_kubectl_password='open',
                           ansible_kubectl_namespace='ns')
        self.assertEqual(hops.hidden(kwargs)['kubectl_args'], ['-n', 'ns', '--password', '********', '--token', '********'])
        self.assertIn('sesame', kwargs['kubectl_args'])
        kwargs = self.only('kubectl', ansible_kubectl_extra_args='--token=sesame --password=open --as=me', ansible_kubectl_local_env_vars={'A': 'sesame'})
        self.assertEqual(hops.hidden(kwargs)['kubectl_args'], ['--token=********', '--password=********', '--as=me'])
        self.assertEqual(hops.hidden(kwargs)['env'], {'A': '********'})
        self.assertEqual(kwargs['env'], {'A': 'sesame'})
        kwargs = self.only('docker', ansible_docker_extra_env={'A': 'open=sesame\nb', 'B': ''}, ansible_docker_working_dir='/srv')
        self.assertEqual(hops.hidden(kwargs)['exec_args'], ['--env=A=********', '--env=B=', '--workdir=/srv'])
        self.assertEqual(hops.hidden({'password': 'x'}), {'password': '********'})
        self.assertEqual(hops.hidden({'password': None}), {'password': None})

    def test_options_that_are_no_command_line(self):
        for method, name, said in (('ssh', 'ansible_ssh_common_args', 'ssh_common_args'), ('docker', 'ansible_docker_extra_args', 'ansible_docker_extra_args'),
                                   ('kubectl', 'ansible_kubectl_extra_args', 'ansible_kubectl_extra_args'), ('sudo', 'ansible_become_flags', 'become_flags'),
                                   ('sudo', 'ansible_become_exe', 'become_exe')):
            with self.assertRaisesRegex(AnsibleConnectionFailure, '^%s cannot be split into words: no closing quotation.$' % said):
                self.way('local', {'b': dict(PYTHON, ansible_connection='mitogen_' + method, **{name: '-a "b'})}, mitogen_via='b')

    def test_setns_without_a_kind(self):
        for kind in ({}, {'mitogen_kind': ''}):
            with self.assertRaisesRegex(AnsibleConnectionFailure, '^mitogen_kind of [a-z0-9.]+ is not set'):
                self.only('setns', **kind)

    def test_setns(self):
        hop, = self.way('machinectl', ansible_user='bob', mitogen_machinectl_path='/m')
        self.assertEqual((hop['method'], hop['kwargs']['kind'], hop['kwargs']['machinectl_path']),
                         ('setns', 'machinectl', '/m'))
        self.assertEqual(self.only('setns', mitogen_kind='podman', mitogen_podman_path='/p')['podman_path'], '/p')
        for kind, name in (('docker', 'docker_path'), ('lxc', 'lxc_path'), ('lxc', 'lxc_info_path'), ('lxd', 'lxc_path'), ('incus', 'incus_path'),
                           ('machinectl', 'machinectl_path')):
            kwargs = self.only('setns', mitogen_kind=kind, ansible_host='c1', **{'mitogen_' + name: '/p'})
            self.assertEqual((kwargs['kind'], kwargs[name], kwargs['container']), (kind, '/p', 'c1'))

    def test_accounts_as_connections(self):
        kwargs = self.only('sudo', ansible_user='bob', ansible_password='x', ansible_become_exe='/s',
                           ansible_become_flags='-H')
        self.assertEqual((kwargs['username'], kwargs['sudo_path'], kwargs['sudo_args']), ('bob', '/s', ['-H']))
        self.assertEqual(self.only('su', ansible_user='bob')['su_path'], 'su')
        self.assertIsNone(self.only('doas')['doas_path'])
        self.assertEqual(self.only('doas', ansible_doas_exe='/d')['doas_path'], '/d')
        with mock.patch.dict('os.environ', {'ANSIBLE_DOAS_EXE': '/e', 'ANSIBLE_SU_EXE': '/f', 'ANSIBLE_SUDO_EXE': '/g'}):
            self.assertEqual([self.only(name)[name + '_path'] for name in ('doas', 'su', 'sudo')], ['/e', '/f', '/g'])
            self.assertEqual(self.only('doas', ansible_doas_exe='/d')['doas_path'], '/d')

    def test_a_program_of_several_words(self):
        become = Plugin(become_user='bob', become_pass='x', become_exe='sudo su -', become_flags=None, prompt_l10n=None)
        become.name = 'su'
        kwargs = self.way('ssh', become=become)[-1]['kwargs']
        self.assertEqual((kwargs['su_path'], kwargs['exe']), ('sudo su -', ['sudo', 'su', '-']))
        self.assertEqual(self.only('sudo', ansible_become_exe='env A=1 sudo')['exe'], ['env', 'A=1', 'sudo'])
        self.assertNotIn('exe', self.only('sudo', ansible_become_exe='/s'))

    def test_a_program_that_only_a_shell_understands(self):
        for text in ('LANG=C su', '~/bin/sudo', '$HOME/bin/sudo', 'cd / && sudo', 'umask 0; sudo', '`which sudo`', 'sudo 2>/dev/null', "A='b c' sudo -k"):
            for method in ('sudo', 'su', 'doas'):
                become = Plugin(become_user='bob', become_pass=None, become_exe=text, become_flags=None)
                become.name = method
                kwargs = self.way('ssh', become=become)[-1]['kwargs']
                self.assertEqual((kwargs[method + '_path'], kwargs['exe']), (text, ['/bin/sh', '-c', text + ' "$@"', 'sh']))
            self.assertEqual(self.only('sudo', ansible_become_exe=text)['exe'][2], text + ' "$@"')

    def test_become(self):
        become = Plugin(become_user='bob', become_pass='x', become_exe=None, become_flags='-m', prompt_l10n=['Kennwort'])
        for name, flags in (('su', 'su_args'), ('doas', 'doas_args')):
            become.name = name
            hop = self.way('ssh', become=become)[-1]
            self.assertEqual((hop['method'], hop['become'], hop['kwargs']['username'], hop['kwargs'][flags],
                              hop['kwargs']['prompts']), (name, True, 'bob', ['-m'], ['Kennwort']))

    def test_where_sudo_is_started(self):
        become = Plugin(become_user='bob', become_pass=None, become_exe=None, become_flags=None)
        become.name = 'sudo'
        for given in ({}, {'sudo_chdir': None}):
            become.options.update(given)
            self.assertNotIn('chdir', self.way('ssh', become=become)[-1]['kwargs'])
        become.options['sudo_chdir'] = '/srv/it'
        self.assertEqual(self.way('ssh', become=become)[-1]['kwargs']['chdir'], '/srv/it')

    @unittest.skipUnless(config.knows('become', 'sudo', 'sudo_chdir'), 'this release has no such option')
    def test_where_sudo_is_started_on_the_way(self):
        hostvars = {'b': dict(PYTHON, ansible_sudo_chdir='/srv/it')}
        self.assertEqual(self.way('ssh', hostvars, mitogen_via='root@b')[1]['kwargs']['chdir'], '/srv/it')

    def test_what_ksu_asks(self):
        """The words are regular expressions, as the plugin has them."""
        become = Plugin(become_user='bob', become_pass='x', prompt_l10n=[])
        become.name, become.prompt = 'community.general.ksu', True
        become.build_become_command = lambda cmd, shell: 'ksu bob -e ' + cmd
        self.assertEqual(self.way('ssh', become=become)[-1]['kwargs']['prompts'], ['Kerberos password for .*@.*:'])
        become.options['prompt_l10n'] = ['Kennwort für .*:', 'Mot de passe']
        self.assertEqual(self.way('ssh', become=become)[-1]['kwargs']['prompts'], ['Kennwort für .*:', 'Mot de passe'])

    def test_a_plugin_of_the_sites_own(self):
        """It may have the name of one that we have a method for, and says itself what it runs."""
        own = '/site/become_plugins/sudo.py'
        general = '/x/ansible_collections/community/general/plugins/become/doas.py'
        shipped = become_loader.get('sudo')
        for name, path, method in (
                ('sudo', None, 'sudo'), ('ansible.builtin.sudo', None, 'sudo'), ('ansible.legacy.su', None, 'su'), ('sudo', shipped._original_path, 'sudo'),
                ('community.general.doas', general, 'doas'), ('doas', general, 'doas'), ('sudo', own, 'become'), ('corp.infra.sudo', None, 'become'),
                ('sudo', '/x/ansible_collections/corp/infra/plugins/become/sudo.py', 'become'), ('runas', own, None)):
            self.assertEqual(methods.become(name, path), method, (name, path))
        become = Plugin(become_user='bob', become_pass=None, become_exe=None, become_flags=None, prompt_l10n=None)
        become.name, become.prompt = 'sudo', 'Word:'
        become.build_become_command = lambda cmd, shell: 'site-sudo ' + cmd
        for path, method in ((shipped._original_path, 'sudo'), (own, 'become')):
            become._original_path = path
            self.assertEqual(self.way('ssh', become=become)[-1]['method'], method)
        self.assertEqual(self.way('ssh', become=become)[-1]['kwargs']['command'], 'site-sudo /bin/sh -c SPINDLEPROGRAM')

    def test_any_other_become(self):
        become = Plugin(become_user='bob', become_pass='x')
        become.name, become.fail, become.missing, become.prompt = 'community.general.pbrun', ('no',), (), 'Password:'
        become.build_become_command = lambda cmd, shell: "pbrun -u bob /bin/sh -c 'echo BECOME-SUCCESS-%s ; %s'" % (
            'abcdefgh', cmd)
        hop = self.way('local', become=become)[-1]
        self.assertEqual(hop['method'], 'become')
        self.assertEqual(hop['kwargs']['command'], "pbrun -u bob /bin/sh -c 'echo BECOME-SUCCESS ; /bin/sh -c SPINDLEPROGRAM'")
        self.assertEqual((hop['kwargs']['prompts'], hop['kwargs']['failures']), (['Password:'], ['no']))
        become.prompt, become._id = '[dzdo via ansible, key=xyz] password:', 'xyz'
        become.build_become_command = lambda cmd, shell: 'dzdo -p "%s" echo BECOME-SUCCESS-xyz ; %s' % (become.prompt, cmd)
        kwargs = self.way('local', become=become)[-1]['kwargs']
        self.assertNotIn('xyz', repr(kwargs), 'or each task would have a connection of its own')
        self.assertIn('key=BECOME', kwargs['command'])
        self.assertIsNone(methods.become('ansible.builtin.runas'))

    def test_no_compression_is_none_at_all(self):
        hostvars = {'b': dict(PYTHON, mitogen_ssh_compression='no'), 'c': dict(PYTHON)}
        for name, there in (('b', False), ('c', True)):
            kwargs = self.way('local', hostvars, mitogen_via=name)[0]['kwargs']
            self.assertEqual(('-C' in kwargs['ssh_args'], kwargs['compression']), (there, there))

    def test_names(self):
        for name, method in (('community.docker.docker', 'docker'), ('containers.podman.buildah', 'buildah'),
                             ('ansible.builtin.smart', 'ssh'), ('mitogen_doas', 'doas'), ('machinectl', 'machinectl'),
                             ('paramiko_ssh', None), ('doas', None), ('winrm', None), (None, None)):
            self.assertEqual(methods.connection(name), method, name)


class ViaTest(HopsTest):
    def setUp(self):
        self.addCleanup(runtime.set_typed_passwords, *runtime.typed_passwords())

    def test_spec(self):
        for text, parts in (('b', (None, None, 'b')), ('root@b', (None, 'root', 'b')),
                            ('doas:bob@b', ('doas', 'bob', 'b')), ('a:b:c@d@e', ('a:b', 'c@d', 'e')),
                            ('su:@b', ('su', None, 'b'))):
            self.assertEqual(via.parse(text), parts)

    def test_mixed_methods_nearest_first(self):
        hostvars = {
            'gate': dict(PYTHON, ansible_host='192.0.2.9', ansible_port='2222', ansible_user='op', ansible_timeout=33,
                         ansible_ssh_common_args='-o A=b', mitogen_ssh_keepalive_count=2),
            'bastion': dict(PYTHON, mitogen_via='gate', ansible_password='sesame', ansible_become_password='open'),
            'ct': dict(PYTHON, mitogen_via='sudo:root@bastion', ansible_connection='community.docker.docker'),
        }
        way = self.way('ssh', hostvars, mitogen_via='ct', ansible_host='web.inside')
        self.assertEqual([hop['method'] for hop in way], ['ssh', 'ssh', 'sudo', 'docker', 'ssh'])
        gate, bastion, sudo, docker, web = [hop['kwargs'] for hop in way]
        self.assertEqual((gate['hostname'], gate['port'], gate['username'], gate['connect_timeout'], gate['password']),
                         ('192.0.2.9', 2222, 'op', 33, None))
        self.assertIn('A=b', gate['ssh_args'])
        self.assertEqual(way[0]['heartbeat'], {'seconds': 30, 'count': 2})
        self.assertEqual((bastion['hostname'], bastion['password']), ('bastion', 'sesame'))
        self.assertEqual((sudo['username'], sudo['password'], way[2]['become']), ('root', 'open', True))
        self.assertEqual((docker['container'], web['hostname']), ('ct', 'web.inside'))
        self.assertNotIn('become', way[3])

    def test_become_of_the_way(self):
        hostvars = {'b': dict(PYTHON, ansible_become_method='doas', ansible_become_user='eve', ansible_become=True)}
        self.assertEqual([hop['method'] for hop in self.way('local', hostvars, mitogen_via='b')], ['ssh', 'local'])
        way = self.way('local', hostvars, mitogen_via='su:@b')
        self.assertEqual((way[1]['method'], way[1]['kwargs']['username']), ('su', 'eve'))
        hostvars['b']['ansible_user'] = 'bob'
        self.assertEqual(len(self.way('local', hostvars, mitogen_via='sudo:bob@b')), 2, 'bob is bob already')

    def test_doas_on_the_way_needs_no_collection(self):
        given = dict(PYTHON, ansible_become_password='p', ansible_become_exe='/opt/doas', ansible_doas_flags='-C /etc/d', ansible_doas_prompt_l10n=['Kennwort'])
        wanted = {'password': 'p', 'doas_path': '/opt/doas', 'doas_args': ['-C', '/etc/d'], 'prompts': ['Kennwort']}
        with mock.patch.object(config.become_loader, 'get', lambda *name, **more: None):
            for name in ('doas', 'community.general.doas'):
                hop = self.way('local', {'b': given}, mitogen_via=name + ':bob@b')[1]
                self.assertEqual((hop['method'], hop['kwargs']['username']), ('doas', 'bob'))
                self.assertEqual(dict((key, hop['kwargs'].get(key)) for key in wanted), wanted)
                plain = self.way('local', {'b': PYTHON}, mitogen_via=name + ':bob@b')[1]['kwargs']
                self.assertEqual(set(plain), set(hops.STACK['doas']), 'nothing is set that the user has not asked for')
                self.assertEqual((plain['password'], plain['doas_path']), (None, 'doas'))
            with mock.patch.dict('os.environ', {'ANSIBLE_BECOME_FLAGS': '-L', 'ANSIBLE_DOAS_PROMPT_L10N': 'Kennwort,Wort'}):
                kwargs = self.way('local', {'b': PYTHON}, mitogen_via='doas:bob@b')[1]['kwargs']
                self.assertEqual((kwargs['doas_args'], kwargs['prompts']), (['-L'], ['Kennwort', 'Wort']))

    def test_typed_passwords_reach_who_has_none(self):
        runtime.set_typed_passwords('k', 'K')
        hostvars = {'b': dict(PYTHON), 'c': dict(PYTHON, ansible_ssh_pass='own')}
        way = self.way('local', hostvars, mitogen_via='root@b')
        self.assertEqual((way[0]['kwargs']['password'], way[1]['kwargs']['password']), ('k', 'K'))
        self.assertEqual(self.way('local', hostvars, mitogen_via='c')[0]['kwargs']['password'], 'own')

    def test_same_settings_are_the_same_hop(self):
        hostvars = {'b': dict(PYTHON, ansible_host='h'), 'c': dict(PYTHON, ansible_ssh_host='h', ansible_host='h')}
        ways = [self.way('local', hostvars, mitogen_via=name)[0] for name in 'bc']
        self.assertEqual(ways[0], ways[1])

    def test_what_cannot_be(self):
        hostvars = {'b': dict(PYTHON, mitogen_via='c'), 'c': dict(PYTHON, mitogen_via='b'),
                    'w': dict(PYTHON, ansible_connection='winrm'), 'self': dict(PYTHON, mitogen_via='web1')}
        for text, why in (('nobody', 'mitogen_via=nobody of web1 specifies an unknown hostname'),
                          ('b', r'mitogen_via=b of c creates a cycle \(b -> c -> b -> web1\)'),
                          ('self', r'mitogen_via=web1 of self creates a cycle \(web1 -> self -> web1\)'),
                          ('w', 'mitogen_via=w of web1: connections of the type winrm')):
            with self.assertRaisesRegex(AnsibleConnectionFailure, why):
                self.way('local', hostvars, mitogen_via=text)

    def test_passwords_for_other_prompts_go_to_no_host_on_the_way(self):
        for option, name in (('sshpass_prompt', 'ansible_sshpass_prompt'), ('pkcs11_provider', 'ansible_ssh_pkcs11_provider')):
            if not config.knows('connection', 'ssh', option):
                continue  # 2.10 has but the first
            hostvars = {'b': dict(PYTHON, ansible_password='p', **{name: 'x'}), 'c': dict(PYTHON, **{name: 'x'})}
            with self.assertRaisesRegex(AnsibleConnectionFailure, 'a password for the ssh option .* knows nothing of mitogen_via=b'):
                self.way('local', hostvars, mitogen_via='b')
            self.assertEqual(len(self.way('local', hostvars, mitogen_via='c')), 2)

    def test_configuration_counts_for_the_way(self):
        with mock.patch.dict('os.environ', {'ANSIBLE_SSH_ARGS': '-o From=env'}):
            self.assertEqual(self.way('local', {'b': dict(PYTHON)}, mitogen_via='b')[0]['kwargs']['ssh_args'],
                             ['-o', 'From=env'])


if __name__ == '__main__':
    unittest.main()
