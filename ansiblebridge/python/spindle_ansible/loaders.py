"""The hooks: what is replaced in Ansible while a strategy of ours runs, and only then.

The two loaders are patched as instances: everything that asks for a connection or an
action comes through their get_with_context, and nothing else has to be known of
Ansible's insides.
"""
import gc
import os

from ansible.executor.process.worker import WorkerProcess
from ansible.plugins.loader import action_loader, connection_loader, get_with_context_result

from spindle_ansible import action_mixin
from spindle_ansible import ahead
from spindle_ansible import connection as connection_mod
from spindle_ansible import flight
from spindle_ansible import listings
from spindle_ansible import methods
from spindle_ansible import mixins
from spindle_ansible import orphans
from spindle_ansible import runtime

def _instance(result, made, args, kwargs):
    """What the loader does with a class: its names are set before its constructor runs."""
    stock = result.object
    instance = object.__new__(made)
    for name in ('_original_path', '_load_name', '_redirected_names', 'ansible_aliases', 'ansible_name'):
        if hasattr(stock, name):
            setattr(instance, name, getattr(stock, name))
    made.__init__(instance, *args, **kwargs)
    return get_with_context_result(instance, result.plugin_load_context)


def _get_connection(original):
    def get_with_context(name, *args, **kwargs):
        method = methods.connection(name)
        play_context = args[0] if args else kwargs.get('play_context')
        if (method is None or kwargs.get('class_only') or not runtime.active()
                or methods.connection(getattr(play_context, 'connection', None)) is None):
            if not kwargs.get('class_only'):
                flight.in_turn()
            return original(name, *args, **kwargs)
        result = original(method if method in methods.STOCK else 'mitogen_' + method, class_only=True)
        if result.object is None:
            return result
        kwargs.pop('collection_list', None)
        made = _instance(result, connection_mod.class_for(result.object, method), args, kwargs)
        made.object.spindle_name = str.__str__(name)
        return made
    return get_with_context


def _get_action(original):
    def get_with_context(name, *args, **kwargs):
        connection = kwargs.get('connection')
        if kwargs.get('class_only') or not runtime.active() or not connection_mod.is_ours(connection):
            return original(name, *args, **kwargs)
        collection_list = kwargs.pop('collection_list', None)
        result = original(name, class_only=True, collection_list=collection_list)
        if result.object is None:
            return result
        made = action_mixin.class_for(result.object, mixins.of(name, result.object))
        return _instance(result, made, args, kwargs)
    return get_with_context


def _run_worker(original, parent):
    def run(self, *args, **kwargs):
        orphans.end_with_parent(parent)
        # It ends soon, and a collection would copy every page that it shares with its parent.
        gc.disable()
        ahead.install()
        return original(self, *args, **kwargs)
    return run


class Hooks(object):
    """The replacements, put in and taken out together."""

    def __init__(self):
        self._undo = []
        self.connections = connection_loader.get_with_context
        self.actions = action_loader.get_with_context

    def install(self):
        """Put them in."""
        connection_loader.get_with_context = _get_connection(self.connections)
        self._undo.append(lambda: delattr(connection_loader, 'get_with_context'))
        action_loader.get_with_context = _get_action(self.actions)
        self._undo.append(lambda: delattr(action_loader, 'get_with_context'))
        run = WorkerProcess.run
        WorkerProcess.run = _run_worker(run, os.getpid())
        self._undo.append(lambda: setattr(WorkerProcess, 'run', run))
        self._undo.append(listings.install())

    def remove(self):
        """Take them out, last one first."""
        while self._undo:
            self._undo.pop()()
