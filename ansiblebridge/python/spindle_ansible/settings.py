"""From Ansible's options and variables to the hops of a connection.

A hop is `{"method", "kwargs", "python", "remote_tmp", "system_tmpdirs"}` as
docs/protocol.md says. kwargs have exactly the keys that mitogen_get_stack prints.

Equal settings must give equal hops in every worker of a run: the multiplexer
shares a connection by what is in here.
"""
import os
import shlex

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean

from spindle_ansible import compat
from spindle_ansible import texts

# Spindle's own unpacked name for these; everything else is left to Ansible.
METHODS = ('ssh', 'local')
BECOME_METHODS = ('sudo',)

_interpreters = {}

DEFAULT_CANDIDATES = ['python3', '/usr/bin/python3', '/usr/libexec/platform-python', 'python', '/usr/bin/python']


def option(plugin, name, default=None):
    """A plugin's option, or a default where the running version has no such option."""
    try:
        return plugin.get_option(name)
    except (KeyError, AttributeError):
        return default


def interpreter(variables, templar):
    """The Interpreter of these variables; for values without templates, one that was made before."""
    named = variables.get('ansible_python_interpreter')
    listed = variables.get('ansible_interpreter_python_fallback')
    facts = variables.get('ansible_facts') or {}
    key = (named, repr(listed), facts.get('discovered_interpreter_python'))
    if '{' in '%s%s' % key[:2] or not isinstance(named, (str, type(None))):
        return Interpreter(variables, templar)
    found = _interpreters.get(key)
    if found is None:
        found = Interpreter(variables, templar)
        if '{' not in found.configured:
            _interpreters[key] = found
    return found


class Interpreter(object):
    """Which Python a host is to use, as far as it is known before connecting."""

    def __init__(self, variables, templar):
        self.configured = compat.config_value('INTERPRETER_PYTHON', variables, 'auto') or ''
        # Stripping comes last: newer versions template only what is marked as trusted, and strip() loses the mark.
        value = (compat.plain(compat.template(templar, self.configured)) or '').strip()
        self.auto = not value or value in compat.AUTO_MODES
        self.mode = value or 'auto'
        if self.auto:
            listed = compat.config_value('INTERPRETER_PYTHON_FALLBACK', variables) or DEFAULT_CANDIDATES
            self.candidates_listed = [compat.plain(item) for item in listed]
            self.candidates = platform_first(self.candidates_listed, self.mode)
            facts = variables.get('ansible_facts') or {}
            self.discovered = compat.plain(facts.get('discovered_interpreter_python'))
            self.argv = None
        else:
            self.candidates = [value]
            self.discovered = None
            self.argv = shlex.split(value)


def platform_first(candidates, mode='auto'):
    """The order in which interpreters are tried.

    Versions whose discovery asks for the distribution choose the platform's Python over a newer one
    found in PATH, so it is tried first there. Else a second connection would be needed to change over.
    """
    if not compat.optional('ansible.executor.interpreter_discovery', '_get_linux_distro'):
        return list(candidates)
    likely = ['/usr/bin/python3']
    if mode.startswith('auto_legacy'):
        likely.insert(0, '/usr/bin/python')
    likely = [item for item in likely if item in candidates]
    return likely + [item for item in candidates if item not in likely]


def number(value, default=None):
    """An integer where the value is one; settings arrive as text from some inventories."""
    if value is None or value == '':
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        return compat.plain(value)


def whole(source, name):
    """A variable that is a whole number; 0 where it is not set."""
    value = source.variable(name)
    try:
        found = int(value or 0)
    except (TypeError, ValueError):
        found = -1
    if found < 0:
        raise AnsibleConnectionFailure(texts.NOT_WHOLE % (name, compat.plain(value)))
    return found


def words(value):
    """A command line's words."""
    return [compat.plain(word) for word in shlex.split(compat.plain(value))] if value else []


def compression(value):
    """The value of mitogen_ssh_compression, which is strict about its values."""
    if isinstance(value, bool):
        return value
    try:
        return boolean(value, strict=True)
    except TypeError:
        raise AnsibleConnectionFailure(texts.BAD_COMPRESSION % (compat.plain(value),))


class Source(object):
    """Where the settings of one connection come from at one time."""

    def __init__(self, connection, variables, templar):
        self.connection = connection
        self.variables = variables
        self.templar = templar

    def get(self, name, fallback=None):
        """An option of the connection plugin, or the play context's attribute."""
        value = option(self.connection, name)
        if value is None and fallback:
            value = getattr(self.connection._play_context, fallback, None)
        return compat.template(self.templar, value)

    def variable(self, name, default=None):
        """A variable that belongs to no plugin."""
        return compat.template(self.templar, self.variables.get(name, default))

    def remote_user(self):
        """The account that is logged in to, None where ssh decides."""
        missing = object()
        value = option(self.connection, 'remote_user', missing)
        if value is missing:
            value = getattr(self.connection, 'default_user', None) or self.connection._play_context.remote_user
        return compat.plain(compat.template(self.templar, value))


def local_hop(source, python):
    """Arguments of the local method."""
    return {'python_path': python.argv}


def ssh_hop(source, python):
    """Arguments of the ssh method."""
    identity = source.get('private_key_file', 'private_key_file')
    args = []
    for name in ('ssh_args', 'ssh_common_args', 'ssh_extra_args'):
        args.extend(words(source.get(name)))
    check = source.get('host_key_checking')
    verbosity = number(source.get('verbosity'), 0) or whole(source, 'mitogen_ssh_debug_level')
    return {
        'check_host_keys': 'enforce' if (C.HOST_KEY_CHECKING if check is None else boolean(check)) else 'ignore',
        'compression': compression(source.variable('mitogen_ssh_compression', True)),
        'connect_timeout': timeout(source),
        'hostname': compat.plain(source.get('host') or source.connection._play_context.remote_addr),
        'identities_only': False,
        'identity_file': os.path.expanduser(compat.plain(identity)) if identity else None,
        'keepalive_count': whole(source, 'mitogen_ssh_keepalive_count') or 10,
        'keepalive_interval': whole(source, 'mitogen_ssh_keepalive_interval') or 30,
        'password': compat.plain(source.get('password', 'password')) or None,
        'port': number(source.get('port', 'port')),
        'python_path': python.argv,
        'remote_name': remote_name(source),
        'ssh_args': args,
        'ssh_debug_level': verbosity,
        'ssh_path': compat.plain(source.get('ssh_executable')) or 'ssh',
        'username': source.remote_user(),
    }


def sudo_hop(source, python):
    """Arguments of the sudo become method."""
    become = source.connection.become
    flags = compat.template(source.templar, option(become, 'become_flags'))
    password = compat.template(source.templar, option(become, 'become_pass'))
    if password is None:
        password = getattr(source.connection._play_context, 'become_pass', None)
    return {
        'connect_timeout': timeout(source),
        'password': compat.plain(password) or None,
        'python_path': python.argv,
        'remote_name': remote_name(source),
        'sudo_args': words('-H -S -n' if flags is None else flags),
        'sudo_path': compat.plain(compat.template(source.templar, option(become, 'become_exe'))) or 'sudo',
        'username': become_user(source),
    }


def become_user(source):
    """The account that become leads to."""
    return compat.plain(compat.template(source.templar, option(source.connection.become, 'become_user'))) or 'root'


def wants_become(source):
    """Whether a become hop is part of the way: not to the account that was logged in to."""
    if not source.connection.become:
        return False
    return bool(C.BECOME_ALLOW_SAME_USER) or become_user(source) != source.remote_user()


def timeout(source):
    """Seconds in which a hop must be up."""
    value = number(source.get('timeout', 'timeout'), 0)
    return value if isinstance(value, int) and value > 0 else 10


def remote_name(source):
    """What the target shows of us: null for who and where we are."""
    return 'ansible' if source.variable('mitogen_mask_remote_name') else None


def heartbeat(source):
    """How often the agent behind ssh is asked for a sign of life, where the user says so: else it is up to Spindle."""
    interval = whole(source, 'mitogen_ssh_keepalive_interval')
    count = whole(source, 'mitogen_ssh_keepalive_count')
    if not interval and not count:
        return {}
    return {'heartbeat': {'seconds': interval or 30, 'count': count or 10}}


HOPS = {'local': local_hop, 'ssh': ssh_hop}


def hops(source, python, become=True):
    """The way to where tasks run, nearest hop first."""
    shell = source.connection._shell
    common = {
        'python': python.candidates,
        'remote_tmp': compat.plain(option(shell, 'remote_tmp')) or '~/.ansible/tmp',
        'system_tmpdirs': [compat.plain(item) for item in option(shell, 'system_tmpdirs') or ['/var/tmp', '/tmp']],
    }
    method = source.connection.spindle_method
    way = [dict(common, method=method, kwargs=HOPS[method](source, python))]
    if method == 'ssh':
        way[0].update(heartbeat(source))
    if become and wants_become(source):
        way.append(dict(common, method='sudo', kwargs=sudo_hop(source, python)))
    return way


def seconds(way):
    """How long a whole way may take to come up."""
    return sum(hop['kwargs'].get('connect_timeout') or 10 for hop in way)
