"""Idle agents step aside for what cannot be done while an account has processes.

userdel refuses to remove an account that is in use, and usermod to give it another number
or home. Under stock Ansible nothing of an account runs between two tasks.
"""
import os
import re
import stat

from spindle_ansible import texts

_USER = ('user', 'ansible.builtin.user', 'ansible.legacy.user')
_COMMANDS = ('command', 'shell')

# What is in the way of these is only known to them, so all idle accounts but root's go.
_IN_THE_WAY = re.compile(r'\b(userdel|deluser|usermod|umount|loginctl)\b')


def make_way(session, module, given):
    """Before a module runs, with the arguments that it gets."""
    if module in _USER:
        name = given.get('name') or given.get('user')
        if name and (given.get('state') == 'absent' or given.get('uid') is not None or given.get('home')):
            session.retire(str(name))
    elif module.rpartition('.')[2] in _COMMANDS and _IN_THE_WAY.search(_text(given)):
        session.retire(None)


def _text(given):
    argv = given.get('argv')
    words = [given.get(key) for key in ('_raw_params', 'cmd')] + (argv if isinstance(argv, list) else [argv])
    return ' '.join('%s' % (word,) for word in words)


def make_way_for_command(session, command):
    """Before a command line runs."""
    if _IN_THE_WAY.search(command.decode('utf-8', 'replace') if isinstance(command, bytes) else command):
        session.retire(None)


def make_way_for_script(session, path):
    """Before a file of the controller runs; what is not small is no script that somebody wrote."""
    try:
        st = os.stat(path)
        if not stat.S_ISREG(st.st_mode) or st.st_size > texts.SMALL_FILE:
            return
        with open(path, 'rb') as f:
            content = f.read(texts.SMALL_FILE)
    except OSError:
        return  # whoever sends it says so
    make_way_for_command(session, content)
