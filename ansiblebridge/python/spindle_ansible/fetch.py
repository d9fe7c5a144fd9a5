"""fetch: Ansible's own, which with us need not carry files through a module.

Under become it reads whole files with slurp, since the login account may not be able to
read them. Our transfers run in the account that become leads to, so the action is shown
a connection without become.
"""
from spindle_ansible import action_mixin


class _WithoutBecome(object):
    """A connection as one that needs no become."""

    become = None

    def __init__(self, connection):
        self.__dict__['_spindle_real'] = connection

    def __getattr__(self, name):
        return getattr(self._spindle_real, name)

    def __setattr__(self, name, value):
        setattr(self._spindle_real, name, value)


class FetchMixin(action_mixin.ActionMixin):
    """Goes in front of everything else of the fetch action."""

    def run(self, tmp=None, task_vars=None):
        """Fetch, as if there were no become; it is in the connection's target already."""
        real = self._connection
        if getattr(real, 'become', None) is None or real.spindle_unsupported(self._spindle_variables(task_vars or {})):
            return super(FetchMixin, self).run(tmp, task_vars)
        self._connection = _WithoutBecome(real)
        try:
            return super(FetchMixin, self).run(tmp, task_vars)
        finally:
            self._connection = real
