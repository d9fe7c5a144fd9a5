"""Programs that start ssh themselves, led over our connections: `spindle rsh` in ssh's place.

synchronize works out an rsync command line for the controller and has a module run it there. It
is shown an SSH connection, whatever leads to the host, and its rsync gets --rsh.
"""
import shlex

from ansible.plugins.action import ActionBase

from spindle_ansible import action_mixin
from spindle_ansible import connection as connection_mod
from spindle_ansible import runtime
from spindle_ansible import via


def command(session, way):
    """The words that stand for ssh: whatever they are given runs at the end of these hops."""
    words = runtime.rsh_words() + ['--ticket', session.ticket(way)]
    return ' '.join(shlex.quote(word) for word in words)


class RshAction(ActionBase):
    """spindle_rsh: returns a command line that can be used in ssh's place to reach the task's host and account."""

    def run(self, tmp=None, task_vars=None):
        """Connect, so that what is wrong with the settings is told here, and name the way."""
        if not connection_mod.is_ours(self._connection):
            return {'skipped': True, 'msg': 'this host is not reached by Spindle'}
        result = super(RshAction, self).run(tmp, task_vars)
        session = self._connection.spindle
        session.context(bare=True)
        result.update(changed=False, command=command(session, session.way()))
        return result


class SynchronizeMixin(action_mixin.ActionMixin):
    """Goes in front of the action synchronize."""

    _spindle_origin = None

    def run(self, tmp=None, task_vars=None):
        """Run the action, on a connection that it takes for SSH."""
        origin = self._spindle_origin = self._connection
        if origin.spindle_method in ('local', 'ssh') or origin.spindle_unsupported(self._spindle_variables(task_vars or {})):
            return super(SynchronizeMixin, self).run(tmp, task_vars)
        origin.transport = 'ssh'
        try:
            return super(SynchronizeMixin, self).run(tmp, task_vars)
        finally:
            del origin.transport

    def _execute_module(self, module_name=None, module_args=None, tmp=None, task_vars=None, **kwargs):
        if module_args is not None and str(module_name).rpartition('.')[2] == 'synchronize':
            module_args = self._spindle_redirect(dict(module_args), task_vars or {})
        return super(SynchronizeMixin, self)._execute_module(
            module_name=module_name, module_args=module_args, tmp=tmp, task_vars=task_vars, **kwargs)

    def _spindle_redirect(self, arguments, task_vars):
        """The module's arguments, with our way in place of ssh if it is rsync on the controller that is to be run."""
        options = arguments.get('rsync_opts') or []
        if isinstance(options, str):
            options = options.split(',')
        own = any(str(option).startswith(('--rsh', '-e')) for option in options)
        if own or self._spindle_elsewhere() or not connection_mod.is_ours(self._connection) or not self._connection.spindle.here():
            return arguments
        way = self._spindle_way(arguments, task_vars)
        if way is None:
            return arguments
        rsh = command(self._spindle_origin.spindle, way)
        arguments.update(rsync_opts=list(options) + ['--rsh=' + shlex.quote(rsh)], _local_rsync_password=None)
        return arguments

    def _spindle_elsewhere(self):
        """Whether the path on the other side names a host of its own, by rsync's rule: a colon ahead of any slash."""
        path = str(self._task.args.get('src' if self._task.args.get('mode') == 'pull' else 'dest') or '')
        return ':' in path.partition('/')[0]

    def _spindle_way(self, arguments, task_vars):
        """The hops to the other side; None if it is the controller, too."""
        session = self._spindle_origin.spindle
        if self._connection is self._spindle_origin:  # delegated to the controller: the other side is the inventory's host
            name = task_vars.get('inventory_hostname')
            hostvars = task_vars.get('hostvars') or {}
            if name not in hostvars:
                return None
            way = via.to_host(session.source(), name, self._connection._shell, hostvars, self._spindle_said(task_vars), self._spindle_told())
            return None if [hop['method'] for hop in way] == ['local'] else way
        if self._task.args.get('rsync_path'):
            return session.way(become=False)
        arguments['rsync_path'] = None  # what changes the account there is on our way
        session.context()
        return session.way()

    def _spindle_said(self, task_vars):
        """What is said of the host's login where the task is delegated: the account and key of keywords and the command line."""
        context = self._play_context
        found = dict((name, getattr(context, name, None)) for name in ('ssh_args', 'ssh_common_args', 'ssh_extra_args', 'private_key_file'))
        found.update(remote_user=task_vars.get('ansible_user') or context.remote_user)
        return dict((name, value) for name, value in found.items() if value)

    def _spindle_told(self):
        """What the task itself wants instead of the host's variables."""
        args = self._task.args
        return {'port': args.get('dest_port'), 'private_key_file': args.get('private_key')}
