"""Values of settings: interpreters, numbers, words, and what is wrong with them."""
import shlex

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from spindle_ansible import compat
from spindle_ansible import log
from spindle_ansible import texts

_interpreters = {}

DEFAULT_CANDIDATES = ['python3', '/usr/bin/python3', '/usr/libexec/platform-python', 'python', '/usr/bin/python']


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
            self.argv = words(value, 'ansible_python_interpreter')
        # Whether a task's PATH chooses it.
        self.by_path = bool(self.argv) and ('/' not in self.argv[0] or self.argv[0].endswith('/env'))


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


def words(value, name):
    """A command line's words; the name is that of the option or variable which holds it, for who has to mend it."""
    try:
        return [compat.plain(word) for word in shlex.split(compat.plain(value))] if value else []
    except ValueError as e:
        raise AnsibleConnectionFailure(texts.NOT_A_COMMAND_LINE % (name, str(e).lower()))


def compression(value):
    """The value of mitogen_ssh_compression, which is strict about its values."""
    if isinstance(value, bool):
        return value
    try:
        return boolean(value, strict=True)
    except TypeError:
        raise AnsibleConnectionFailure(texts.BAD_COMPRESSION % (compat.plain(value),))


def switched(variables, name):
    """Whether a variable of ours leaves on what it can switch off. What cannot be told is off."""
    value = variables.get(name)
    if value is None:
        return True
    try:
        if isinstance(value, str) and '{' in value:
            value = Templar(loader=DataLoader(), variables=variables).template(value)
        return boolean(value, strict=False)
    except Exception as e:
        log.debug('%s: %r' % (name, e))
        return False


def truth(value):
    """A variable that is a yes or a no; text counts by what it says."""
    try:
        return bool(value) and boolean(value)
    except TypeError:
        return bool(value)
