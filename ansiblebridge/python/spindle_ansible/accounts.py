"""Idle agents step aside for what cannot be done while an account has processes.

userdel refuses to remove an account that is in use, and usermod to give it another number
or home. Under stock Ansible nothing of an account runs between two tasks.
"""
import json
import re

_USER = ('user', 'ansible.builtin.user', 'ansible.legacy.user')
_COMMANDS = ('command', 'shell')

# What is in the way of these is only known to them, so all idle accounts but root's go.
_IN_THE_WAY = re.compile(br'\b(userdel|deluser|usermod|umount|loginctl)\b')


def make_way(session, module, arguments):
    """Before a module runs: arguments are those that it gets, as JSON."""
    if module in _USER:
        given = json.loads(arguments).get('ANSIBLE_MODULE_ARGS') or {}
        name = given.get('name') or given.get('user')
        if name and (given.get('state') == 'absent' or given.get('uid') is not None or given.get('home')):
            session.retire(str(name))
    elif module.rpartition('.')[2] in _COMMANDS and _IN_THE_WAY.search(arguments):
        session.retire(None)


def make_way_for_command(session, command):
    """Before a command line runs."""
    if _IN_THE_WAY.search(command if isinstance(command, bytes) else command.encode('utf-8', 'surrogateescape')):
        session.retire(None)
