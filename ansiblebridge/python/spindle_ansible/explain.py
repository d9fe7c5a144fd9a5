"""What `spindle explain` asks: the hops that lead to a host, and where each setting came from.

The answer goes into the file that SPINDLE_EXPLAIN names, one line of JSON for each host.
It holds no passwords.
"""
import json
import os

from ansible.plugins.action import ActionBase

from spindle_ansible import action_mixin
from spindle_ansible import aside
from spindle_ansible import compat
from spindle_ansible import config
from spindle_ansible import connection as connection_mod
from spindle_ansible import hops
from spindle_ansible import methods

# The option of Ansible's own ssh plugin behind an argument.
_SSH = {
    'check_host_keys': ['host_key_checking'], 'connect_timeout': ['timeout'], 'hostname': ['host'],
    'identity_file': ['private_key_file'], 'password': ['password'], 'port': ['port'],
    'ssh_args': ['ssh_args', 'ssh_common_args', 'ssh_extra_args'], 'ssh_path': ['ssh_executable'],
    'username': ['remote_user'],
}
# The variable behind an argument that no plugin has an option for.
_VARIABLES = {
    'compression': 'mitogen_ssh_compression', 'keepalive_count': 'mitogen_ssh_keepalive_count',
    'keepalive_interval': 'mitogen_ssh_keepalive_interval', 'ssh_debug_level': 'mitogen_ssh_debug_level',
    'remote_name': 'mitogen_mask_remote_name', 'python_path': 'ansible_python_interpreter', 'kind': 'mitogen_kind',
    'spindle_ssh': 'spindle_ssh', 'spindle_via': 'spindle_via',
}
# The option of a stand-in behind an argument.
_OWN = {
    'container': ['host'], 'pod': ['pod', 'host'], 'username': ['user'], 'connect_timeout': ['timeout'],
    'password': ['password'], 'extra_args': ['extra_args'], 'remote': ['remote'], 'project': ['project'],
    'sudo_args': ['flags'],
    'exec_args': ['extra_env', 'working_dir', 'privileged'], 'escalation': ['escalation'],
}
_BECOME = {'username': 'become_user', 'password': 'become_pass', 'chdir': 'sudo_chdir', 'exe': 'become_exe'}


class ExplainAction(ActionBase):
    """Writes the answer for its host."""

    def run(self, tmp=None, task_vars=None):
        """Work the hops out; no connection is made."""
        super(ExplainAction, self).run(tmp, task_vars)
        answer = {'host': compat.plain((task_vars or {}).get('inventory_hostname'))}
        try:
            if not connection_mod.is_ours(self._connection):
                answer['stock'] = compat.plain(getattr(self._connection, 'transport', '')) or 'unknown'
            else:
                answer['hops'] = [_shown(source, hop) for source, hop in self._connection.spindle.explained()]
        except Exception as e:
            answer['error'] = compat.plain(str(e))
        return _write(answer)


class ExplainMixin(action_mixin.ActionMixin):
    """Goes in front of it: says why a connection of ours is one that steps aside, or may not."""

    def run(self, tmp=None, task_vars=None):
        """The same, without stepping aside."""
        connection, variables = self._connection, self._spindle_variables(task_vars or {})
        unsupported = connection.spindle_unsupported(variables)
        if not unsupported:
            return super(ExplainMixin, self).run(tmp, task_vars)
        answer = {'host': compat.plain((task_vars or {}).get('inventory_hostname'))}
        refused = aside.refusal(connection, unsupported[1], variables, self._templar)
        if refused:
            answer['error'] = refused
        else:
            answer.update(stock=connection.spindle_method, why=unsupported[1])
        return _write(answer)


def _write(answer):
    with open(os.environ['SPINDLE_EXPLAIN'], 'a') as f:
        f.write(json.dumps(answer) + '\n')
    return {'changed': False}


def _shown(source, hop):
    kwargs = dict((k, v) for k, v in hop['kwargs'].items() if k != 'python_path')
    origins = dict((key, _origin(source, hop, key)) for key in kwargs)
    return {'host': source.inventory_name, 'method': hop['method'], 'kwargs': hops.hidden(kwargs), 'origins': origins,
            'python': hop['python'],
            'python_origin': _variable(source, 'ansible_python_interpreter')}


def _variable(source, name):
    return 'var: %s' % name if source.variables.get(name) is not None else 'default'


def _origin(source, hop, key):
    """Where an argument's value came from, in Ansible's own words."""
    if hop.get('become'):
        name = hops.become_name(source)
        option = _BECOME.get(key, 'become_flags' if key.endswith('_args') else 'become_exe' if key.endswith('_path') else None)
        if isinstance(source.become, tuple) and key == 'username' and source.become[1]:
            return 'mitogen_via'
        if option:
            return _joined([('become', name, option)], source)
        if key not in _VARIABLES and key != 'connect_timeout':
            return 'become plugin %s' % name
    if key in _VARIABLES:
        return _variable(source, _VARIABLES[key])
    if source.method in methods.STOCK:
        return _joined([('connection', source.method, option) for option in _SSH.get(key, ())], source)
    options = _OWN.get(key, ['path' if key.endswith('_path') else key])
    return _joined([('own', source.method, option) for option in options], source)


def _joined(asked, source):
    found = []
    for kind, name, option in asked:
        origin = config.origin(kind, name, option, source.variables, source.templar)
        if origin and origin != 'default' and origin not in found:
            found.append(origin)
    return ', '.join(found) or 'default'
