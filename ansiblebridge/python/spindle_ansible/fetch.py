"""fetch: Ansible's own, which with us need not carry files through a module.

Under become it reads whole files with slurp, since the login account may not be able to
read them. Our transfers run in the account that become leads to, so the action is shown
a connection without become.
"""
from ansible.errors import AnsibleConnectionFailure, AnsibleError

from spindle_ansible import action_mixin


class _Gone(Exception):
    """The file is none, or no longer what it had been when the action looked at it."""


class _WithoutBecome(object):
    """A connection as one that needs no become."""

    become = None

    def __init__(self, connection):
        self.__dict__['_spindle_real'] = connection

    def __getattr__(self, name):
        return getattr(self._spindle_real, name)

    def __setattr__(self, name, value):
        setattr(self._spindle_real, name, value)

    def fetch_file(self, in_path, out_path):
        try:
            self._spindle_real.fetch_file(in_path, out_path)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as e:
            # At the target, where files change, and nothing was written yet. What fails at this end would fail again.
            if str(e).startswith('get ') or str(e).endswith('was interrupted.'):
                raise _Gone
            raise


class FetchMixin(action_mixin.ActionMixin):
    """Goes in front of everything else of the fetch action."""

    _spindle_by_slurp = False

    def _execute_remote_stat(self, *args, **kwargs):
        self._spindle_modules_refused = False
        try:
            found = super(FetchMixin, self)._execute_remote_stat(*args, **kwargs)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError:  # with become, stock Ansible does not look: slurp has its own words for what cannot be looked at, too
            if not (self._spindle_modules_refused or isinstance(self._connection, _WithoutBecome)):
                raise
            found = {'isdir': True}
        if isinstance(self._connection, _WithoutBecome) and found.get('isdir'):
            self._spindle_by_slurp = True  # 2.10 lets nothing through that is raised here
            raise _Gone  # slurp has words of its own for a directory, and for an account that cannot be become
        return found

    def run(self, tmp=None, task_vars=None):
        """Fetch, as if there were no become; it is in the connection's target already.

        With slurp the checksum is that of the bytes that have come, whatever becomes of the file. So what the action
        has found by looking at the file first is not compared, and not told: a transfer has its own digest.
        """
        real = self._connection
        if getattr(real, 'become', None) is None or real.spindle_unsupported(self._spindle_variables(task_vars or {})):
            return super(FetchMixin, self).run(tmp, task_vars)
        args = self._task.args
        self._connection = _WithoutBecome(real)
        self._spindle_by_slurp = False
        self._task.args = dict(args, validate_checksum=False)
        try:
            result = super(FetchMixin, self).run(tmp, task_vars)
        except _Gone:
            result = None
        finally:
            self._connection = real
            self._task.args = args
        if result is None or self._spindle_by_slurp:
            return super(FetchMixin, self).run(tmp, task_vars)
        if 'remote_checksum' in result:
            result['remote_checksum'] = result['checksum']
        return result
