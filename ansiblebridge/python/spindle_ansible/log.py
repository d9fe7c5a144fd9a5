"""What we say, and how loudly.

MITOGEN_LOG_LEVEL limits what we say beyond warnings, as it always did; the
multiplexer reads the same variable for its own log.
"""
import os

from ansible.utils.display import Display

display = Display()

_LEVELS = {'IO': 5, 'TRACE': 5, 'DEBUG': 10, 'INFO': 20, 'WARNING': 30, 'WARN': 30, 'ERROR': 40, 'CRITICAL': 50}

_said = set()


def level():
    """The least severity that is shown, as Python's logging counts."""
    return _LEVELS.get(os.environ.get('MITOGEN_LOG_LEVEL', 'WARNING').upper(), 30)


def debug(message, host=None):
    """For -vvv together with MITOGEN_LOG_LEVEL=DEBUG. Never give it arguments of modules."""
    if level() <= 10:
        display.vvv('spindle: %s' % message, host=host)


def warn_once(thing, message):
    """Warn about a thing once per run. Workers know what was said before they were forked."""
    if thing in _said:
        return
    _said.add(thing)
    display.warning(message)
