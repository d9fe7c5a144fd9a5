"""Which tasks may run in a process with those of other hosts.

Everything is asked before a fork, and what is not known to be safe gets a worker of its own. user-guide.md has the rules in
the user's words, docs/decisions/0016 says why.
"""
import os
import re
import sys

import ansible
from ansible import constants as C
from ansible.plugins import loader as plugin_loader

from spindle_ansible import methods
from spindle_ansible import settings
from spindle_ansible import workers

# Actions that keep what they change to themselves. `normal` stands for all modules without an action of their own.
SAFE = frozenset((
    'assemble', 'assert', 'command', 'copy', 'debug', 'dnf', 'fail', 'fetch', 'gather_facts', 'include_vars', 'normal', 'package',
    'raw', 'script', 'service', 'set_fact', 'setup', 'shell', 'template', 'unarchive', 'uri', 'yum',
))

# Fact caches that hold no connection and no file open.
_CACHES = frozenset(('memory', 'jsonfile', 'yaml', 'pickle'))

# Kinds of plugins that run in workers, of which many may be somebody's own.
_KINDS = ('filter_loader', 'test_loader', 'lookup_loader', 'vars_loader')

# A plugin of a collection in a template; names of modules and actions stand elsewhere.
_COLLECTION_PLUGIN = re.compile(r'''(?:\||\bis\s+(?:not\s+)?|\b(?:lookup|query|q)\s*\(\s*['"])\s*(?!ansible\.)\w+\.\w+\.\w+''')

_OWN = os.path.dirname(os.path.abspath(ansible.__file__)) + os.sep

OFF = 'it is switched off'


def wanted():
    """Whether the user, and this Ansible, let workers be shared at all."""
    return workers.POSSIBLE and os.environ.get('SPINDLE_BATCH', '').lower() not in ('0', 'false', 'no', 'off')


class Rules(object):
    """The rules, for one play."""

    def __init__(self, hooks):
        self._hooks = hooks
        self._actions = {}
        self._tasks = {}
        self._play = None

    def objection(self, task, variables, connection, become):
        """Why this task of a host must have a worker of its own, or None.

        connection and become are the names that it would use, as far as they are known.
        """
        return (self.of_run() or self._of_task(task) or self._of_variables(variables, connection, become))

    def of_run(self):
        """What speaks against it for all tasks."""
        if self._play is None:
            self._play = self._of_run()
        if sys.gettrace() is not None or sys.getprofile() is not None:
            return 'a profiler or debugger watches'
        return self._play or None

    def _of_run(self):
        if not wanted():
            return OFF
        if C.CACHE_PLUGIN not in _CACHES:
            return 'the fact cache %s may not be shared by threads' % C.CACHE_PLUGIN
        return ''

    def _of_task(self, task):
        if getattr(task, 'timeout', None):
            return 'a time limit needs the main thread'
        if task.async_val or getattr(task, 'debugger', None):
            return 'async and the debugger have a worker each'
        if task.run_once:
            return 'it runs once'
        if task.delegate_to:
            return 'it is delegated'
        # A role brings its actions with it, in the middle of a play.
        key = task.action, tuple(task.collections or ()), len(plugin_loader.action_loader._extra_dirs)
        if key not in self._actions:
            self._actions[key] = self._of_action(task.action, list(key[1]))
        if task._uuid not in self._tasks:
            self._tasks[task._uuid] = self._of_text(task) or self._of_plugins()
        return self._actions[key] or self._tasks[task._uuid]

    def _of_action(self, name, collections):
        action_loader = plugin_loader.action_loader
        if '{' in name:
            return 'the action is a template'
        if any(not one.startswith('ansible.') for one in collections):
            return 'plugins of collections are not known to be safe'
        own = action_loader.has_plugin(name, collection_list=collections or None)
        if not own and name.rpartition('.')[2].partition('_')[0] in C.NETWORK_GROUP_MODULES:
            return 'it is for network devices'
        found = self._hooks.actions(name if own else 'ansible.legacy.normal', class_only=True,
                                    collection_list=(collections or None) if own else None)
        path = getattr(found.plugin_load_context, 'plugin_resolved_path', None) or ''
        short = os.path.splitext(os.path.basename(path))[0]
        if not os.path.abspath(path).startswith(_OWN) and short != 'mitogen_fetch' or short.replace('mitogen_', '') not in SAFE:
            return 'the action %s is not known to be safe' % (short or name)
        return ''

    def _of_text(self, task):
        """Look at a task's own templates."""
        lookup = getattr(task, 'loop_with', None) or ''
        text = repr((getattr(task, '_ds', None), task.when, task.environment))
        if '.' in lookup and not lookup.startswith('ansible.') or _COLLECTION_PLUGIN.search(text):
            return 'plugins of collections are not known to be safe'
        return ''

    def _of_plugins(self):
        """Look for plugins that are the user's own. Roles bring theirs with them, in the middle of a play."""
        for kind in _KINDS:
            loader = getattr(plugin_loader, kind)
            for path in loader._get_paths():
                if not os.path.abspath(path).startswith(_OWN) and _has_python(path):
                    return 'plugins in %s are not known to be safe' % path
        return ''

    def _of_variables(self, variables, connection, become):
        if not settings.switched(variables, 'spindle_batch'):
            return OFF
        if 'ansible_worker_session_isolation' in variables:
            return 'it has a wish about its session'
        if methods.connection(connection) is None or become and methods.become(become) is None:
            return 'its connection is not ours'
        if variables.get('ansible_shell_type') in ('powershell', 'cmd') or 'ansible_private_key' in variables \
                or 'ansible_ssh_private_key' in variables:
            return 'its connection is not ours'
        return ''


_python = {}


def _has_python(path):
    if path not in _python:
        try:
            _python[path] = any(name.endswith('.py') and name != '__init__.py' for name in os.listdir(path))
        except OSError:
            return False
    return _python[path]
