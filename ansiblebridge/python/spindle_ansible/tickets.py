"""sudo's tickets of a terminal: who has given the password to sudo there is not asked again for some minutes.

Agents are in sessions of their own, where such a ticket does not count. Ansible's own connection to the controller (up to 2.18, and later
where a worker's session is not its own) starts sudo in the session of ansible-playbook, and people rely on that: `sudo -v`, and then a playbook for this machine.
"""
import os
import subprocess

from spindle_ansible import log

_SECONDS = 10

_found = []  # whether sudo goes by one, once that was asked; forks have it from their parent


def look():
    """Find out, once, ahead of a task that becomes another account on this machine."""
    if not _found and os.geteuid() != 0:
        _found.append(_at_terminal() and _goes(False) and not _goes(True))
        log.debug('sudo goes by a ticket of this terminal: %s' % _found[0])


def count():
    """Whether nothing but a ticket of this process' terminal lets its user become another one without a password."""
    return _found[:1] == [True] and _at_terminal()


def _at_terminal():
    try:
        os.close(os.open('/dev/tty', os.O_RDWR | os.O_NOCTTY))
        return True
    except OSError:
        return False


def _goes(apart):
    """Whether sudo needs no password, here or apart from this session."""
    try:
        return subprocess.run(['sudo', '-n', '-v'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=apart, timeout=_SECONDS).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False
