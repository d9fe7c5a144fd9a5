"""From settings to the hops of a connection, one function for each method.

A hop is `{"method", "kwargs", "python", "title", "remote_tmp", "system_tmpdirs"}` as
docs/protocol.md says. STACK names the kwargs that mitogen_get_stack prints.

Equal settings must give equal hops in every worker of a run: the multiplexer
shares a connection by what is in here.
"""
import json
import os
import re

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean

from spindle_ansible import compat
from spindle_ansible import config
from spindle_ansible import methods
from spindle_ansible import runtime
from spindle_ansible import settings
from spindle_ansible import sources
from spindle_ansible import texts

_CONTAINER = ('connect_timeout', 'container', 'python_path', 'remote_name')
_ACCOUNT = ('connect_timeout', 'password', 'python_path', 'remote_name', 'username')

STACK = {
    'local': ('python_path',),
    'ssh': ('check_host_keys', 'compression', 'connect_timeout', 'hostname', 'identities_only', 'identity_file',
            'keepalive_count', 'keepalive_interval', 'password', 'port', 'python_path', 'remote_name', 'ssh_args',
            'ssh_debug_level', 'ssh_path', 'username'),
    'sudo': _ACCOUNT + ('sudo_args', 'sudo_path'),
    'su': _ACCOUNT + ('su_path',),
    'doas': _ACCOUNT + ('doas_path',),
    'become': _ACCOUNT + ('plugin', 'command'),
    'docker': _CONTAINER + ('username',),
    'podman': _CONTAINER + ('username',),
    'buildah': _CONTAINER + ('username',),
    'jail': _CONTAINER + ('username',),
    'kubectl': ('connect_timeout', 'kubectl_args', 'kubectl_path', 'pod', 'python_path', 'remote_name'),
    'lxc': _CONTAINER + ('lxc_attach_path',),
    'lxd': _CONTAINER + ('lxc_path',),
    'incus': _CONTAINER + ('incus_path',),
    'setns': ('container', 'docker_path', 'kind', 'lxc_info_path', 'lxc_path', 'machinectl_path', 'python_path',
              'username'),
}

# kubectl's flags in the order in which they are given.
_KUBECTL = (
    ('container', '-c'), ('namespace', '-n'), ('kubeconfig', '--kubeconfig'), ('context', '--context'),
    ('server', '--server'), ('username', '--username'), ('password', '--password'),
    ('client_cert', '--client-certificate'), ('client_key', '--client-key'),
    ('ca_cert', '--certificate-authority'), ('token', '--token'),
)

_DOCKER = (('daemon', '--host'), ('tlscacert', '--tlscacert'), ('tlscert', '--tlscert'), ('tlskey', '--tlskey'))

# Options with which the password of an ssh connection is none for the login, but a passphrase or a PIN.
PASSWORD_FOR = ('sshpass_prompt', 'pkcs11_provider')

# Where the program goes in the command of a become plugin.
PROGRAM = 'SPINDLEPROGRAM'

# What is entered as root, whoever ansible_user is, unless the arguments name another account.
_ROOTS = ('lxc', 'lxd', 'incus')

# What makes a program's text a piece of shell, and not only words.
_SHELL = re.compile(r'[$~&;|<>`]|^\s*[A-Za-z_]\w*=')

# What is a secret, or a variable's value that may be one, in the word that says so.
_SECRET = re.compile(r'^(--(?:password|token)=|--env=[^=]*=).+', re.S)


# What an ssh_config may let connecting take, which is not known here.
CONFIGURED_SECONDS = 600

# Options of ssh that say how long connecting may take.
_OPTION = {'timeout': re.compile(r'ConnectTimeout[\s="]+((?:\d+[smhdw]?)+)', re.I), 'attempts': re.compile(r'ConnectionAttempts[\s="]+(\d+)', re.I)}
_UNITS = {'': 1, 's': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}


def _common(source, python):
    """What nearly all have."""
    return {
        'connect_timeout': timeout(source),
        'python_path': python.argv,
        'remote_name': remote_name(source),
    }


def local_hop(source, python):
    """Arguments of the local method."""
    return {'python_path': python.argv}


def ssh_hop(source, python):
    """Arguments of the ssh method."""
    identity = source.get('private_key_file', 'private_key_file')
    args = []
    for name in ('ssh_args', 'ssh_common_args', 'ssh_extra_args'):
        args.extend(word.strip() for word in settings.words(source.get(name, name), name) if word.strip())
    mechanism = compat.plain(source.get('password_mechanism'))  # an option of releases from 2.19 on
    password = None if mechanism == 'disable' else compat.plain(source.password()) or None
    for name in PASSWORD_FOR if password else ():  # the task's own host has stepped aside
        if source.get(name):
            raise AnsibleConnectionFailure(texts.ASIDE_VIA % (password_for(name), source.inventory_name))
    provider = source.get('pkcs11_provider')
    if provider:
        args.extend(['-o', 'PKCS11Provider=%s' % compat.plain(provider)])
    compression = settings.compression(source.variable('mitogen_ssh_compression', True))
    if not compression:
        args = [word for word in args if word != '-C']  # Ansible's own default has it
    check = source.get('host_key_checking')
    check = 'enforce' if (C.HOST_KEY_CHECKING if check is None else boolean(check)) else 'ignore'
    if check == 'ignore' and any('stricthostkeychecking' in word.lower() for word in settings.words(source.get('ssh_args', 'ssh_args'), 'ssh_args')):
        check = 'config'  # these stand in front of what Ansible says of it, and so are stronger
    verbosity = (settings.number(source.get('verbosity'), 0)  # an option of newer releases only
                 or settings.whole(source, 'ansible_ssh_verbosity') or settings.whole(source, 'mitogen_ssh_debug_level'))
    found = dict(
        _common(source, python),
        check_host_keys=check,
        compression=compression,
        hostname=compat.plain(source.get('host') or source.address()),
        identities_only=False,
        identity_file=os.path.expanduser(compat.plain(identity)) if identity else None,
        keepalive_count=settings.whole(source, 'mitogen_ssh_keepalive_count') or 10,
        keepalive_interval=settings.whole(source, 'mitogen_ssh_keepalive_interval') or 30,
        password=password,
        port=settings.number(source.get('port', 'port')),
        ssh_args=args,
        ssh_debug_level=verbosity,
        ssh_path=compat.plain(source.get('ssh_executable')) or 'ssh',
        username=source.remote_user(),
    )
    if password and mechanism == 'ssh_askpass':  # whoever asks is told
        found['password_for_all'] = True
    path = _control_path(source, args)
    if path:
        found['control_path'] = path
    return found


def password_for(name):
    """What a password with such an option is called."""
    return 'a password for the ssh option %s' % name


def _control_path(source, args):
    """Where a connection may be that somebody has opened already: as Ansible has it, if ssh is told to keep connections, and not told where.

    After a reset it is used no more, which the multiplexer sees to.
    """
    path = compat.plain(source.get('control_path'))
    said = ' '.join(args).lower()
    if not path or 'controlpersist' not in said or 'controlpath' in said:
        return None
    directory = os.path.realpath(os.path.expandvars(os.path.expanduser(compat.plain(source.get('control_path_dir')) or '~/.ansible/cp')))
    try:
        return path % {'directory': directory}
    except (KeyError, TypeError, ValueError):
        return path  # Ansible fails; here it names no more than a socket to look for


def _container(source, python, path_key=None, **more):
    found = dict(_common(source, python), container=compat.plain(source.address()), **more)
    if path_key:
        path = source.own('path')
        if path or path_key in STACK[source.method]:
            found[path_key] = compat.plain(path) or _TOOLS[source.method]
    extra = settings.words(source.own('extra_args'), 'ansible_%s_extra_args' % source.method) if source.method in ('docker', 'podman', 'buildah') else []
    if extra:
        found['extra_args'] = extra
    return found


_TOOLS = {'lxc': 'lxc-attach', 'lxd': 'lxc', 'incus': 'incus'}


def docker_hop(source, python):
    """Arguments of the docker method."""
    found = _container(source, python, 'docker_path', username=source.remote_user())
    args = []
    for key, flag in _DOCKER:
        value = source.own(key)
        if value:
            args.extend([flag, compat.plain(value)])
    for key in ('tls', 'tlsverify'):
        if settings.truth(source.own(key)):
            args.append('--' + key)
    if args:
        found['extra_args'] = args + found.get('extra_args', [])
    args = list(_inside(source, '--workdir'))
    if settings.truth(source.own('privileged')):
        args.append('--privileged')
    if args:
        found['exec_args'] = args
    return found


def _inside(source, directory):
    """Options of `docker exec` and its like: of what runs in the container, rather than of how that is found."""
    variable = 'ansible_%s_extra_env' % source.method
    given = source.own('extra_env') or {}
    if not isinstance(given, dict):
        raise AnsibleConnectionFailure(texts.NOT_A_DICTIONARY % variable)
    for name, value in given.items():
        if source.method == 'docker' and not (isinstance(name, str) and isinstance(value, str)):  # its plugin is strict, the others' are not
            raise AnsibleConnectionFailure(texts.NOT_TEXT % variable)
        yield '--env=%s=%s' % (compat.plain('%s' % (name,)), compat.plain('%s' % (value,)))
    if source.own('working_dir'):
        yield '%s=%s' % (directory, compat.plain(source.own('working_dir')))


def podman_hop(source, python):
    """Arguments of the podman method."""
    found = _container(source, python, 'podman_path', username=source.remote_user())
    args = list(_inside(source, '--workdir'))
    if args:
        found['exec_args'] = args
    escalation = compat.plain(source.own('escalation'))
    if escalation and escalation not in ('auto', 'none'):
        found['escalation'] = escalation
    return found


def buildah_hop(source, python):
    """Arguments of the buildah method."""
    found = _container(source, python, 'buildah_path', username=source.remote_user())
    args = list(_inside(source, '--workingdir'))
    if args:
        found['exec_args'] = args
    return found


def jail_hop(source, python):
    """Arguments of the jail method."""
    return _container(source, python, 'jexec_path', username=source.remote_user())


def lxc_hop(source, python):
    """Arguments of the lxc method."""
    return _container(source, python, 'lxc_attach_path')


def _instance(source, python, path_key):
    """Arguments of LXD and Incus, whose instances have names without dots: of a longer one the first part counts."""
    found = _container(source, python, path_key)
    found['container'] = found['container'].partition('.')[0]
    for key in ('remote', 'project'):
        value = source.own(key)
        if value:
            found[key] = compat.plain(value)
    user = source.remote_user()
    # Earlier plugins of the collection, and Mitogen, run everything as root, whatever the user is.
    if user and user != 'root' and config.knows('connection', 'community.general.' + source.method, 'remote_user'):
        found['username'] = user
        if source.own('su'):
            found['su'] = compat.plain(source.own('su'))
    return found


def lxd_hop(source, python):
    """Arguments of the lxd method."""
    return _instance(source, python, 'lxc_path')


def incus_hop(source, python):
    """Arguments of the incus method."""
    return _instance(source, python, 'incus_path')


def kubectl_hop(source, python):
    """Arguments of the kubectl method."""
    args, written = [], {}
    for key, flag in _KUBECTL:
        value = source.own(key)
        if key == 'kubeconfig' and isinstance(value, dict) and value:  # the file itself, and not its name
            written = {'kubeconfig': compat.plain_tree(value)}
        elif value:
            if not isinstance(value, str):
                raise AnsibleConnectionFailure(texts.NOT_TEXT % ('ansible_kubectl_' + key))
            args.extend([flag, compat.plain(value)])
    check = source.own('validate_certs')
    if check is not None and check != '':
        args.append('--insecure-skip-tls-verify=%s' % ('false' if settings.truth(check) else 'true'))
    args.extend(settings.words(source.own('extra_args'), 'ansible_kubectl_extra_args'))
    found = dict(
        _common(source, python), kubectl_args=args, kubectl_path=compat.plain(source.own('path')) or 'kubectl',
        pod=compat.plain(source.own('pod') or source.address()), **written)
    env = source.own('env')
    if env:
        env = json.loads(env) if isinstance(env, str) else env
        found['env'] = dict((compat.plain(k), compat.plain(v)) for k, v in env.items())
    return found


def setns_hop(source, python):
    """Arguments of the setns method, which machinectl is as well."""
    kind = 'machinectl' if source.method == 'machinectl' else compat.plain(source.variable('mitogen_kind'))
    if not kind:
        raise AnsibleConnectionFailure(texts.NO_KIND % source.inventory_name)
    found = {
        'container': compat.plain(source.address()),
        'kind': kind,
        'python_path': python.argv,
        'username': source.remote_user(),
    }
    for key in ('docker_path', 'lxc_path', 'lxc_info_path', 'machinectl_path', 'podman_path', 'incus_path'):
        value = source.variable('mitogen_' + key)
        if value or key in STACK['setns']:
            found[key] = compat.plain(value)
    return found


def _program(key, text, default=None):
    """The program of a become method.

    Ansible puts the text into a command line, so it may be several words, as in `sudo su -`, or what
    only a shell understands, as in `cd / && sudo`.
    """
    text = compat.plain(text) or default
    words = settings.words(text, 'become_exe')
    if words and _SHELL.search(text):
        words = ['/bin/sh', '-c', text + ' "$@"', 'sh']
    return {key: text, 'exe': words} if len(words) > 1 else {key: text}


def sudo_connection(source, python):
    """Arguments of sudo as a connection."""
    flags = source.own('flags')
    return dict(
        _common(source, python), password=compat.plain(source.password()) or None,
        sudo_args=settings.words('-H -S -n' if flags is None else flags, 'become_flags'), username=source.remote_user(),
        **_program('sudo_path', source.own('path'), 'sudo'))


def su_connection(source, python):
    """Arguments of su as a connection."""
    return dict(
        _common(source, python), password=compat.plain(source.password()) or None, username=source.remote_user(),
        **_program('su_path', source.own('path'), 'su'))


def doas_connection(source, python):
    """Arguments of doas as a connection."""
    return dict(
        _common(source, python), password=compat.plain(source.password()) or None, username=source.remote_user(),
        **_program('doas_path', source.own('path')))


CONNECTIONS = {
    'buildah': buildah_hop, 'doas': doas_connection, 'docker': docker_hop, 'incus': incus_hop, 'jail': jail_hop,
    'kubectl': kubectl_hop, 'local': local_hop, 'lxc': lxc_hop, 'lxd': lxd_hop, 'machinectl': setns_hop,
    'podman': podman_hop, 'setns': setns_hop, 'ssh': ssh_hop, 'su': su_connection, 'sudo': sudo_connection,
}


def become_name(source):
    """The name of the become plugin that leads to the account."""
    if isinstance(source.become, tuple):
        return source.become[0]
    return getattr(source.become, 'name', None) or ''


def become_user(source):
    """The account that become leads to."""
    return compat.plain(source.become_option('become_user')) or 'root'


def become_method(source):
    """The method that leads to the account, None where that is Ansible's. A site's own plugin counts by its file, as it may have the name of one that we do."""
    path = getattr(source.become, '_original_path', None)
    return methods.become(become_name(source), path if isinstance(path, str) else None)


def wants_become(source, login):
    """Whether a become hop is part of the way: not to the account that was logged in to, with these arguments."""
    if not source.become:
        return False
    user = login.get('username') or 'root' if source.method in _ROOTS else source.remote_user()
    return bool(C.BECOME_ALLOW_SAME_USER) or become_user(source) != user


def _account(source, python):
    found = dict(
        _common(source, python), password=compat.plain(source.become_option('become_pass')) or None,
        username=become_user(source))
    if source.method == 'local' and source.get('become_success_timeout') is not None:  # an option of newer releases only
        seconds = settings.number(source.get('become_success_timeout'), 0)
        found['connect_timeout'] = seconds if isinstance(seconds, int) and seconds > 0 else 10
    return found


def sudo_become(source, python):
    """Arguments of the sudo become method."""
    flags = source.become_option('become_flags')
    found = dict(
        _account(source, python), sudo_args=settings.words('-H -S -n' if flags is None else flags, 'become_flags'),
        **_program('sudo_path', source.become_option('become_exe'), 'sudo'))
    directory = source.become_option('sudo_chdir')  # an option of newer releases only
    if directory:
        found['chdir'] = compat.plain(directory)
    return found


def _by_program(source, python, name):
    """Arguments of a become method that is one program with flags."""
    found = dict(_account(source, python), **_program(name + '_path', source.become_option('become_exe'), name))
    flags = settings.words(source.become_option('become_flags'), 'become_flags')
    if flags:
        found[name + '_args'] = flags
    prompts = source.become_option('prompt_l10n')
    if prompts:
        found['prompts'] = [compat.plain(word) for word in prompts]
    return found


def su_become(source, python):
    """Arguments of the su become method."""
    return _by_program(source, python, 'su')


def doas_become(source, python):
    """Arguments of the doas become method."""
    return _by_program(source, python, 'doas')


def plugin_become(source, python):
    """Arguments for any other become plugin: its own command, prompt and failures."""
    plugin = source.become
    if isinstance(plugin, tuple):
        raise AnsibleConnectionFailure(texts.VIA_BECOME % (source.inventory_name, plugin[0]))
    account = _account(source, python)  # some plugins choose their prompt by whether there is a password
    command = compat.plain(plugin.build_become_command('/bin/sh -c ' + PROGRAM, source.connection._shell))
    # The word that the plugin waits for, and may have in its prompt, is another one each time, and would make another hop of it.
    once = getattr(plugin, '_id', None) or 'BECOME'
    command = re.sub(r'BECOME-SUCCESS-[a-z]+', 'BECOME-SUCCESS', command).replace(once, 'BECOME')
    prompt = getattr(plugin, 'prompt', None)
    if isinstance(prompt, (str, bytes)) and prompt:
        prompts = [re.escape(compat.plain(prompt).strip().replace(once, 'BECOME'))]
    elif prompt and become_name(source).endswith('ksu'):  # whose own words are regular expressions, too
        prompts = [compat.plain(word) for word in source.become_option('prompt_l10n') or ['Kerberos password for .*@.*:']]
    else:
        prompts = [re.escape(compat.plain(word)) for word in source.become_option('prompt_l10n') or ()]
    return dict(
        account, plugin=become_name(source), command=command, prompts=prompts,
        failures=[compat.plain(word) for word in getattr(plugin, 'fail', ()) if word],
        missing=[compat.plain(word) for word in getattr(plugin, 'missing', ()) if word])


BECOMES = {'become': plugin_become, 'doas': doas_become, 'su': su_become, 'sudo': sudo_become}


def timeout(source):
    """Seconds in which a hop must be up."""
    value = settings.number(source.timeout(), 0)
    return value if isinstance(value, int) and value > 0 else 10


def remote_name(source):
    """What the target shows of us: null for who and where we are."""
    return 'ansible' if settings.truth(source.variable('mitogen_mask_remote_name')) else None


def title(source):
    """What the process lists of targets call the agents (contract §0); slashes, such as those of domain accounts, are replaced on the way."""
    return 'mitogen:' + (remote_name(source) or runtime.identity())


def heartbeat(source):
    """How often the agent behind ssh is asked for a sign of life, where the user says so: else it is up to Spindle."""
    interval = settings.whole(source, 'mitogen_ssh_keepalive_interval')
    count = settings.whole(source, 'mitogen_ssh_keepalive_count')
    if not interval and not count:
        return {}
    return {'heartbeat': {'seconds': interval or 30, 'count': count or 10}}


def host_hops(source, python, shell, become=True):
    """The hops of one host: its connection, and the account that become leads to."""
    common = {
        'python': python.candidates,
        'title': title(source),
        'remote_tmp': compat.plain(sources.option(shell, 'remote_tmp')) or '~/.ansible/tmp',
        'system_tmpdirs': [compat.plain(item) for item in sources.option(shell, 'system_tmpdirs') or
                           ['/var/tmp', '/tmp']],
    }
    kwargs = CONNECTIONS[source.method](source, python)
    if source.variable('spindle_via'):
        kwargs['spindle_via'] = compat.plain(source.variable('spindle_via'))
    way = [dict(common, method='setns' if source.method == 'machinectl' else source.method, kwargs=kwargs)]
    if source.method == 'ssh':
        way[0].update(heartbeat(source))
        if source.variable('spindle_ssh'):
            kwargs['spindle_ssh'] = compat.plain(source.variable('spindle_ssh'))
    if become and wants_become(source, kwargs):
        method = become_method(source)
        if method is None:
            raise AnsibleConnectionFailure(texts.VIA_BECOME % (source.inventory_name, become_name(source)))
        way.append(dict(common, method=method, kwargs=BECOMES[method](source, python), become=True))
    return way


def seconds(way):
    """How long a whole way may take to come up. The multiplexer has limits of its own, and knows what an ssh_config says of them."""
    return sum(max(hop['kwargs'].get('connect_timeout') or 30, _patience(hop['kwargs'])) for hop in way)


def patience(way):
    """How much longer it may take, as an ssh_config may say."""
    return CONFIGURED_SECONDS if any(hop['method'] == 'ssh' for hop in way) else 0


def _patience(kwargs):
    """The seconds that the user's own ssh_args let connecting take."""
    args = ' '.join(kwargs.get('ssh_args') or ())
    found = dict((name, _OPTION[name].search(args)) for name in _OPTION)
    if not any(found.values()):
        return 0
    attempts = int(found['attempts'].group(1)) if found['attempts'] else 1
    each = kwargs.get('connect_timeout') or 30
    if found['timeout']:
        each = sum(int(number) * _UNITS[unit.lower()] for number, unit in re.findall(r'(\d+)([smhdw]?)', found['timeout'].group(1), re.I)) or each
    return attempts * (each + 1)


def hidden(kwargs):
    """The same arguments with passwords, tokens and the values of variables hidden, to be shown."""
    shown = dict(kwargs)
    for key in ('password', 'kubeconfig'):
        if shown.get(key):
            shown[key] = texts.HIDDEN
    if shown.get('env'):
        shown['env'] = dict.fromkeys(shown['env'], texts.HIDDEN)
    for key in ('kubectl_args', 'exec_args'):
        args = shown.get(key)
        if args:
            shown[key] = [texts.HIDDEN if before in ('--password', '--token') else _SECRET.sub(r'\1' + texts.HIDDEN, word)
                          for before, word in zip([None] + args, args)]
    return shown
