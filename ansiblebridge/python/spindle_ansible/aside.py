"""Stepping aside: where a task's settings ask for what Spindle does not do, its connection becomes one of Ansible's own.

Where that one would lead to another machine, or there is none, the host is unreachable instead.
"""
import os

from ansible import constants as C
from ansible.plugins.loader import connection_loader

from spindle_ansible import compat
from spindle_ansible import methods
from spindle_ansible import sources
from spindle_ansible import texts


def refusal(connection, words, variables, templar):
    """Why a connection cannot become Ansible's own, or None; words say what Spindle does not do."""
    via = sources.via_of(variables, templar)
    if via:
        return texts.ASIDE_VIA % (words, via)
    name = connection.spindle_name
    if methods.short(name).startswith('mitogen_'):
        return texts.ASIDE_NAMED % (words, name)
    if connection.spindle_method not in methods.STOCK and _load(name, class_only=True) is None:
        return texts.ASIDE_ALONE % (words, name)
    return None


def step(connection, variables, templar, task=None):
    """Make a connection one of Ansible's own. Whoever holds the object goes on with it."""
    if connection.spindle_method in methods.STOCK:
        connection.spindle_step_aside()
        return
    # Behind a stand-in there is another plugin, with options that nobody has worked out yet.
    context = connection._play_context
    made = _load(connection.spindle_name, context, os.devnull)
    made._shell = connection._shell
    if connection.become is not None:
        made.set_become_plugin(connection.become)
    options = compat.templates_of(templar, variables, C.config.get_plugin_vars('connection', made._load_name))
    made.set_options(task_keys=_keywords(task, context), var_options=options)
    context.set_attributes_from_plugin(made)
    connection.__dict__.clear()
    connection.__dict__.update(made.__dict__)
    connection.__class__ = type(made)


def _keywords(task, context):
    """The task's keywords as Ansible has them count for a connection."""
    if task is None:
        return None
    found = dict(task.dump_attrs(), timeout=context.timeout)  # the task's own is another time limit
    if context.password:
        found['password'] = context.password
    found.pop('retries', None)
    return found


def _load(name, *args, **kwargs):
    """A connection plugin, whoever has put a hook in front of the loader."""
    return type(connection_loader).get_with_context(connection_loader, name, *args, **kwargs).object
