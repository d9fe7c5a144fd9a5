"""Where the settings of one hop come from.

The host that a task runs on has a connection plugin object, whose options Ansible has
worked out for this task. A host on the way to it (mitogen_via) has none: its own
variables count, and the configuration; not the task's variables or keywords.
"""
from ansible import constants as C

from spindle_ansible import compat
from spindle_ansible import config
from spindle_ansible import methods
from spindle_ansible import runtime


# What the command line says of these is in the play context up to 2.10, and nowhere else; there it is stronger than all but variables, which are
# there, too.
_BY_COMMAND_LINE = ('ssh_common_args', 'ssh_extra_args')
_BY_CONTEXT = _BY_COMMAND_LINE + ('private_key_file',)

_PASSWORDS = ('password', 'become_pass')


def option(plugin, name, default=None):
    """A plugin's option, or a default where the running version has no such option."""
    try:
        return plugin.get_option(name)
    except (KeyError, AttributeError):
        return default


def _unset(name, value):
    """Whether an option's plugin has nothing to say of it."""
    return value is None or value == '' and name in _BY_COMMAND_LINE


def _settled(templar, name, value):
    """An option's value. Ansible has templated it already, but for a meta task; what a password comes to is none, though it may look like a template."""
    if name in _PASSWORDS and runtime.meta_settings() is None:
        return value
    return compat.template(templar, value)


def via_of(variables, templar):
    """The text of mitogen_via, or None: a host may also say that it has no way, though its group has one."""
    value = compat.template(templar, variables.get('mitogen_via'))
    return compat.plain(value) or None if value else None


def _special(source, key):
    """An option that only some methods have, besides the one that all have."""
    return source.own(key) if key in config.OPTIONS.get(source.method, ()) else None


class Target(object):
    """The host that the task runs on, or that it is delegated to."""

    typed = True

    def __init__(self, connection, variables, templar, name=None):
        self.connection = connection
        self.variables = variables
        self.templar = templar
        self.method = connection.spindle_method
        # The variables of a host that was delegated to hold the name of the one that the task is for.
        self.inventory_name = compat.plain(name or variables.get('inventory_hostname')) or ''

    def get(self, name, fallback=None):
        """An option of the connection plugin, or the play context's attribute."""
        value = option(self.connection, name)
        if value is not None and value == config.placeholder('connection', self.method, name):
            value = None
        if fallback and (_unset(name, value) or name in _BY_CONTEXT and not config.has_command_line(self.method, name)):
            value = getattr(self.connection._play_context, fallback, None) or value
        return _settled(self.templar, name, value)

    def own(self, key, fallback=None):
        """An option of a stand-in (config.OPTIONS), or the play context's attribute."""
        value = config.own(self.method, key, self.variables, self.templar)
        if value is None and fallback:
            value = compat.template(self.templar, getattr(self.connection._play_context, fallback, None))
        return value

    def address(self):
        """The machine's, container's or pod's name."""
        return self.own('host') or self.connection._play_context.remote_addr

    def variable(self, name, default=None):
        """A variable that belongs to no plugin."""
        return compat.template(self.templar, self.variables.get(name, default), default)

    def remote_user(self):
        """The account that is logged in to, None where the method decides."""
        missing = object()
        value = option(self.connection, 'remote_user', missing)
        if value is missing and self.method not in methods.STOCK:
            value = _special(self, 'user') or self.connection._play_context.remote_user
        elif value is missing:
            value = getattr(self.connection, 'default_user', None) or self.connection._play_context.remote_user
        return compat.plain(compat.template(self.templar, value))

    def password(self):
        """The password for the login, if there is one."""
        return self.get('password', 'password')

    def timeout(self):
        """What is set as the time limit for connecting."""
        return _special(self, 'timeout') or self.get('timeout', 'timeout')

    @property
    def become(self):
        """The become plugin, or None."""
        return self.connection.become

    def become_option(self, name):
        """An option of the become plugin: become_user, become_pass, become_exe, become_flags..."""
        value = _settled(self.templar, name, option(self.become, name))
        if value is None and name in ('become_user', 'become_pass'):
            value = getattr(self.connection._play_context, name, None)
        return value

    def via(self):
        """The text of mitogen_via, or None."""
        return via_of(self.variables, self.templar)


class Intermediary(object):
    """A host on the way, with its own variables; become is (method, user) or None."""

    def __init__(self, name, variables, templar, method, become):
        self.inventory_name = name
        self.variables = variables
        self.templar = templar
        self.method = method
        self.become = become
        self.said = {}  # options by what is said of the host beside its variables, where it has none itself
        self.told = {}  # options that count more than those

    def get(self, name, fallback=None):
        """An option as the connection plugin of that host would have it."""
        value = self.told.get(name)
        if value is None:
            value = self._get(name)
        return self.said.get(name) if _unset(name, value) else value

    def _get(self, name):
        try:
            value = config.plugin('connection', self.method, name, self.variables, self.templar)
        except KeyError:
            return None
        if value is None or value != config.placeholder('connection', self.method, name):
            return value
        return None if config.origin('connection', self.method, name, self.variables, self.templar) == 'default' else value

    def own(self, key, fallback=None):
        """An option of a stand-in (config.OPTIONS)."""
        return config.own(self.method, key, self.variables, self.templar)

    def address(self):
        """The machine's, container's or pod's name."""
        return self.own('host') or self.inventory_name

    def variable(self, name, default=None):
        """A variable that belongs to no plugin."""
        return compat.template(self.templar, self.variables.get(name, default), default)

    def remote_user(self):
        """The account that is logged in to, None where the method decides."""
        special = _special(self, 'user')
        if special:
            return compat.plain(special)
        names = ('ansible_ssh_user', 'ansible_user') if self.method == 'ssh' else ('ansible_user',)
        for name in names:
            if self.variable(name):
                return compat.plain(self.variable(name))
        return compat.plain(compat.template(self.templar, self.said.get('remote_user') or C.DEFAULT_REMOTE_USER))

    def password(self):
        """The password for the login: the host's own, or what was typed for all."""
        for name in ('ansible_ssh_password', 'ansible_ssh_pass', 'ansible_password'):
            value = self.variables.get(name)  # templated, as that of hostvars; what it comes to is no template
            if value:
                return value
        return runtime.typed_passwords()[0]

    def timeout(self):
        """What is set as the time limit for connecting."""
        names = ('ansible_ssh_timeout', 'ansible_timeout') if self.method == 'ssh' else ('ansible_timeout',)
        for name in names:
            if self.variable(name):
                return self.variable(name)
        return self.own('timeout') or C.DEFAULT_TIMEOUT

    def become_option(self, name):
        """An option as the become plugin of that host would have it."""
        method, user = self.become
        if name == 'become_user' and user:
            return user
        try:
            value = config.plugin('become', method, name, self.variables, None if name in _PASSWORDS else self.templar)
        except KeyError:
            value = None
        if value is None and name == 'become_pass':
            value = runtime.typed_passwords()[1]
        return value

    def via(self):
        """The text of mitogen_via, or None."""
        return via_of(self.variables, self.templar)
