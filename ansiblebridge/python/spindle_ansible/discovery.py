"""Interpreter discovery: Ansible's own, with answers that cost little.

Ansible asks a shell on the target which interpreters exist, and in some versions
runs a script with the first of them. The agent runs in an interpreter from the same
list already. Newer versions take the first that exists, which is the agent's, so
they are answered without asking the target. Older ones get both their questions
answered by one command.
"""
import pkgutil
import shlex

from ansible.executor import interpreter_discovery

from spindle_ansible import compat

_MARK = 'SPINDLE-DISCOVERY-9b1f'


class Answerer(object):
    """What discover_interpreter takes for the action that asks."""

    def __init__(self, action, session):
        self._action = action
        self._session = session
        self._connection = action._connection
        self._second = None

    @property
    def _discovery_warnings(self):
        return self._action._discovery_warnings

    @property
    def _discovery_deprecation_warnings(self):
        return self._action._discovery_deprecation_warnings

    def _low_level_execute_command(self, cmd, sudoable=False, in_data=None, **kwargs):
        if in_data is not None and self._second is not None:
            answer, self._second = self._second, None
            return answer
        script = _platform_script()
        if in_data is not None or 'ENDFOUND' not in cmd:
            return self._action._low_level_execute_command(cmd, sudoable=sudoable, in_data=in_data, **kwargs)
        if script is None:
            found = self._session.login.hello.get('python') or ''
            return _output('FOUND\n%s\nENDFOUND\n' % found)
        return self._both(cmd, script)

    def _both(self, cmd, script):
        """Ask both questions at once: the list, then the script by the first of the list."""
        candidates = ' '.join(shlex.quote(item) for item in self._session.interpreter().candidates_listed)
        both = (
            '%s; echo %s; for p in %s; do p=$(command -v "$p") && { "$p"; break; }; done'
            % (cmd, _MARK, candidates))
        res = self._action._low_level_execute_command(both, sudoable=False, in_data=script)
        first, _, second = res.get('stdout', '').partition(_MARK + '\n')
        self._second = _output(second, res.get('stderr', ''))
        return _output(first, res.get('stderr', ''))


def _platform_script():
    """The script of versions that ask for the distribution, None elsewhere."""
    try:
        return pkgutil.get_data('ansible.executor.discovery', 'python_target.py')
    except (ImportError, OSError):
        return None


def _output(stdout, stderr=''):
    return {'rc': 0, 'stdout': stdout, 'stdout_lines': stdout.splitlines(),
            'stderr': stderr, 'stderr_lines': stderr.splitlines()}


def discover(action, required, variables):
    """The interpreter that Ansible chooses for this host; the agents are moved to it where they differ."""
    session = action._connection.spindle
    session.ensure()
    found = interpreter_discovery.discover_interpreter(
        action=Answerer(action, session), interpreter_name=required.interpreter_name,
        discovery_mode=required.discovery_mode, task_vars=variables)
    session.pin(compat.plain(found))
    return compat.fact_text(found)


def record(action, required, found, variables, task_vars):
    """Keep what was discovered where the retry, later tasks and the result look for it."""
    key = 'discovered_interpreter_%s' % required.interpreter_name
    variables['ansible_facts'][key] = found
    action._discovered_interpreter = found
    task = action._task
    if not task.delegate_to or task.delegate_facts:
        task_vars['ansible_facts'][key] = found
        action._discovered_interpreter_key = key
    else:
        task_vars['ansible_delegated_vars'][task.delegate_to]['ansible_facts'][key] = found


def required(python):
    """What Ansible raises when it wants an interpreter discovered."""
    return interpreter_discovery.InterpreterDiscoveryRequiredError(
        'interpreter discovery needed', interpreter_name='python', discovery_mode=python.mode)
