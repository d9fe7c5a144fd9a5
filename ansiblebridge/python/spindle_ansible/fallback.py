"""When Spindle is not used in a run: what must not go on over Ansible's own connections.

Ansible's own connections know nothing of mitogen_via: a task for a container behind a bastion would be done on
whatever machine the rest of its settings name, which may be the controller itself. Such hosts are unreachable then.
It needs little of Ansible, and little of ours, because either may be what is broken.
"""
import os

from ansible.plugins.loader import connection_loader

from spindle_ansible import methods

_CONNECTIONS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'plugins', 'connection')

# The connection type that reaches nobody, and says why.
UNREACHABLE = 'spindle_unreachable'

_why = []


def begin(reason):
    """From now on, in this run, hosts that need Spindle are unreachable, and this is why."""
    _why[:] = [reason]
    connection_loader.add_directory(_CONNECTIONS)


def end():
    """That was another run."""
    del _why[:]


def why():
    """The reason, or None while Spindle is used."""
    return _why[0] if _why else None


def guarded(task, variables):
    """The variables for a worker, changed where the task must not run over Ansible's own connection."""
    uses = methods.needs_connection(task.action)
    if task.delegate_to:
        return _guard_delegate(task, variables) if uses else variables
    # Every task has a connection object; one of ours cannot even be made.
    if _ours(variables, task.connection) or uses and _leads_on(variables, task.connection):
        return dict(variables, ansible_connection=UNREACHABLE)
    return variables


def _ours(variables, connection=None):
    return str(variables.get('ansible_connection') or connection).startswith('mitogen_')


def _leads_on(variables, connection=None):
    name = variables.get('ansible_connection') or connection or 'smart'
    return bool(variables.get('mitogen_via')) and (methods.connection(name) is not None or '{{' in str(name))


def _guard_delegate(task, variables):
    hostvars = variables.get('hostvars') or {}
    # A name that is a template is not known before its worker has it: any host could be meant.
    names = list(hostvars) if '{{' in task.delegate_to else [task.delegate_to]
    if not any(name in hostvars and (_ours(hostvars[name]) or _leads_on(hostvars[name])) for name in names):
        return variables
    # Newer releases find out in the worker what holds for the other host; the task's own variables count there, too. It is so for all hosts of the task.
    task.vars = dict(task.vars or {}, ansible_connection=UNREACHABLE)
    delegated = dict((name, dict(found, ansible_connection=UNREACHABLE))
                     for name, found in (variables.get('ansible_delegated_vars') or {}).items())
    return dict(variables, ansible_delegated_vars=delegated) if delegated else variables


def names(strategy):
    """What ours are called that stand for a strategy of Ansible's."""
    return ('mitogen', 'mitogen_linear') if strategy == 'linear' else ('mitogen_%s' % strategy,)


class FallbackMixin(object):
    """Goes in front of a strategy class of Ansible's, and does little while Spindle is used."""

    spindle_stock = None  # the name of that one

    def run(self, iterator, play_context):
        """Run the play by the name that Ansible knows: what it prints, and what its debugger does, go by the play's strategy."""
        play = iterator._play
        if play.strategy in names(self.spindle_stock):
            play.strategy = self.spindle_stock
        return super(FallbackMixin, self).run(iterator, play_context)

    def _queue_task(self, host, task, task_vars, play_context):
        if why() is not None:
            task_vars = guarded(task, task_vars)
        return super(FallbackMixin, self)._queue_task(host, task, task_vars, play_context)
