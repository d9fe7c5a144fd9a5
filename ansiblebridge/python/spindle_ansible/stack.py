"""mitogen_get_stack: which hops lead to a host, with all their settings."""
from ansible.plugins.action import ActionBase

from spindle_ansible import connection as connection_mod
from spindle_ansible import discovery
from spindle_ansible import hops
from spindle_ansible import settings
from spindle_ansible import sources


class StackAction(ActionBase):
    """Returns the hops of the task's connection. Passwords are shown only with `show_passwords: true`."""

    def run(self, tmp=None, task_vars=None):
        """Work the hops out; a connection is made only where the interpreter has to be discovered, and was not yet."""
        if not connection_mod.is_ours(self._connection):
            return {'skipped': True}
        super(StackAction, self).run(tmp, task_vars)
        session = self._connection.spindle
        python = session.interpreter()
        discovered = False
        if python.auto:
            discovered = python.discovered or self._spindle_discover(python, task_vars or {})
        shown = []
        for source, hop in session.explained():
            kwargs = dict((key, hop['kwargs'].get(key)) for key in hops.STACK[hop['method']])
            if kwargs['python_path'] is None:
                kwargs['python_path'] = [_found(source, discovered) or hop['python'][0]]
            if not self._spindle_shows_passwords():
                kwargs = hops.hidden(kwargs)
            entry = {'method': hop['method'], 'kwargs': kwargs}
            if hop.get('become'):
                entry['enable_lru'] = True
            shown.append(entry)
        return {'changed': True, 'result': shown, 'discovered_interpreter': discovered,
                '_ansible_verbose_always': True}

    def _spindle_shows_passwords(self):
        return settings.truth(self._task.args.get('show_passwords'))

    def _spindle_discover(self, python, task_vars):
        variables = self._spindle_variables(task_vars)
        required = discovery.required(python)
        found = discovery.discover(self, required, variables)
        discovery.record(self, required, found, variables, task_vars)
        return str.__str__(found)


def _found(source, discovered):
    """What was discovered of a hop's own host; of one on the way, if a task has run there."""
    if not isinstance(source, sources.Intermediary):
        return discovered
    return settings.interpreter(source.variables, source.templar).discovered
