"""What we say, and how loudly.

MITOGEN_LOG_LEVEL limits what we say beyond warnings, as it always did. The multiplexer
is told of it when it is started (--log-level), for its own log.
"""
import hashlib
import os

from ansible import constants as C
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
    """Warn about a thing once per run. Workers know what was said before they were forked, and look for what others have said since."""
    if thing in _said:
        return
    _said.add(thing)
    if _first(thing):
        display.warning(message)


def forget():
    """Another run begins in this process, in which all may be said once more."""
    for thing in _said:
        try:
            os.unlink(_note(thing))
        except OSError:
            pass
    _said.clear()


def _note(thing):
    return os.path.join(C.DEFAULT_LOCAL_TMP, 'spindle-said-' + hashlib.sha1(thing.encode('utf-8', 'surrogateescape')).hexdigest())


def _first(thing):
    """Whether no other process of this run has said a thing; it is noted in the run's own temporary directory."""
    try:
        os.close(os.open(_note(thing), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    except OSError:
        pass  # better twice than not at all
    return True
