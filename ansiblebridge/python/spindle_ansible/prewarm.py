"""Work done once in the parent which every worker would do for itself.

A worker inherits what its parent has in memory, and takes with it what it finds out. So
plugins are looked up, and modules put together, before the first fork that needs them.
"""
from ansible.plugins.loader import action_loader, become_loader, get_shell_plugin, module_loader

from spindle_ansible import action_mixin
from spindle_ansible import client as client_mod
from spindle_ansible import closure as closure_mod
from spindle_ansible import composite
from spindle_ansible import connection as connection_mod
from spindle_ansible import log
from spindle_ansible import methods
from spindle_ansible import mixins
from spindle_ansible import runtime

# Modules that action plugins run besides, or instead of, the one of their own name.
ACTION_MODULES = {
    'shell': ('command',),
    'command': ('command',),
    'copy': ('stat', 'copy', 'file'),
    'template': ('stat', 'copy', 'file'),
    'assemble': ('stat', 'assemble', 'copy', 'file'),
    'unarchive': ('stat', 'unarchive'),
    'fetch': ('stat',),
    'mitogen_fetch': ('stat',),
    'script': (),
    'raw': (),
    'mitogen_get_stack': (),
    'gather_facts': ('setup',),
    'wait_for_connection': ('ping',),
    'reboot': ('setup',),
    'uri': ('uri',),
    'async_status': ('async_status',),
}


def modules_of(action, variables):
    """The modules that a task will probably run."""
    name = methods.short(action)
    if name in ACTION_MODULES:
        return ['ansible.legacy.%s' % module for module in ACTION_MODULES[name]]
    facts = variables.get('ansible_facts') or {}
    if name == 'package':
        manager = facts.get('pkg_mgr')
        return ['ansible.legacy.%s' % manager] if manager else ['ansible.legacy.setup']
    if name == 'service':
        manager = facts.get('service_mgr')
        return ['ansible.legacy.%s' % ('systemd' if manager == 'systemd' else 'service')] if manager else []
    return [action]


class Warmer(object):
    """Warms what tasks need, each thing once."""

    def __init__(self, hooks):
        self._hooks = hooks
        self._plugins = set()
        self._modules = {}

    def warm_plugins(self, task):
        """Look up the plugins of a task that is about to be queued."""
        self._warm_plugins(task, tuple(task.collections or ()))

    def missing(self, task, variables):
        """The modules which that task will need, and that were not put together yet: (name, path)."""
        if not methods.needs_connection(task.action):
            return []
        collections = tuple(task.collections or ())
        found = []
        for name in modules_of(task.action, variables):
            path = self._find_module(name, collections)
            if path and not closure_mod.known(name, path):
                found.append((name, path))
        return found

    def _warm_plugins(self, task, collections):
        key = (task.action, collections)
        if key in self._plugins:
            return
        self._plugins.add(key)
        collection_list = list(collections) or None
        module_loader.find_plugin_with_context(task.action, ignore_deprecated=True, collection_list=collection_list)
        self._warm_action(task.action, collection_list)
        self._warm_action('ansible.legacy.normal')
        if methods.short(task.action) in ('template', 'assemble', 'unarchive'):
            self._warm_action('ansible.legacy.copy')
        for method in methods.STOCK:
            stock = self._hooks.connections(method, class_only=True).object
            if stock is not None:
                connection_mod.class_for(stock, method)
        become_loader.get('sudo', class_only=True)
        get_shell_plugin(shell_type='sh')

    def _warm_action(self, name, collection_list=None):
        if action_loader.has_plugin(name, collection_list=collection_list):
            stock = self._hooks.actions(name, class_only=True, collection_list=collection_list).object
            if stock is not None:
                action_mixin.class_for(stock, mixins.of(name, stock))

    def _find_module(self, name, collections):
        key = (name, collections)
        path = self._modules.get(key, False)
        if path is False:
            found = module_loader.find_plugin_with_context(name, '', collection_list=list(collections) or None)
            path = str.__str__(found.plugin_resolved_path) if found.resolved else None
            self._modules[key] = path
        return path


def put_together(modules, variables):
    """Look up the closures of (name, path), and tell the multiplexer of them, and of the last one that agents will be asked for it.

    Returns False if the multiplexer does not take them: it would let others wait as long, and no result is looked at meanwhile.
    """
    last = None
    for name, path in modules:
        try:
            closure = closure_mod.lookup(str.__str__(name), path, variables)
            if closure is None:
                continue
            full = closure_mod.complete(closure, name, path, variables)
            if not closure_mod.registered(full):
                closure_mod.register(runtime.client(), full, closure_mod.PARENT_SECONDS)
                last = full.digest
            last = composite.prepare(str.__str__(name), full) or last  # also one that was registered by another name
        except (client_mod.ClientError, OSError) as e:  # as below
            log.debug('the multiplexer does not take %s: %s' % (name, e))
            return False
        except Exception as e:  # the worker will meet it again, and report it as the task's
            log.debug('not put together: %s: %r' % (name, e))
    if last is not None:
        try:
            runtime.client().call('expect', closure=last, noreply=True)
        except Exception as e:  # as above
            log.debug('not expected: %r' % (e,))
    return True
