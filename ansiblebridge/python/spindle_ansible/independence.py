"""Which loops can be proved to have items that do not depend on each other's results.

The rule, in words, is in the user guide, and why it is as it is in docs/decisions/0017. What is not
known to be harmless is taken for harmful: a loop that is refused here runs as ever.
"""
import keyword
import os
import re

import ansible
import jinja2
from ansible.playbook.task import Task
from ansible.plugins.loader import action_loader, filter_loader, lookup_loader, module_loader, test_loader
from jinja2 import nodes

from spindle_ansible import compat
from spindle_ansible import executors
from spindle_ansible import log
from spindle_ansible import methods
from spindle_ansible import settings

# Fewer items are not worth it.
FEWEST_ITEMS = 3

# What an action needs to be here: it makes one call when its module runs from memory, which is its last; it does nothing else on the
# controller that another item, or the target, could notice; and its result never has facts in it.
ONE_CALL = frozenset((
    'command', 'shell',
    # Modules without an action of their own: 'normal' makes their one call.
    'blockinfile', 'cron', 'file', 'find', 'get_url', 'git', 'group', 'iptables', 'known_hosts', 'lineinfile', 'ping',
    'replace', 'slurp', 'stat', 'sysvinit', 'tempfile', 'user', 'wait_for',
))
_WITH_OWN_ACTION = ('command', 'shell')
# These make one composite call, if they copy one small file; copies.py has what else they must not do before their turn.
COPIES = ('copy', 'template')

# Any module of Ansible's without an action of its own, for tasks: one that has found facts, or failed in whatever way, says so in its answer, which the agent reads.
ANY = None

# Filters and tests that look at nothing but what they are given.
FILTERS = frozenset((
    'abs', 'attr', 'b64decode', 'b64encode', 'basename', 'batch', 'bool', 'capitalize', 'center', 'checksum', 'combinations', 'combine',
    'comment', 'count', 'd', 'default', 'dict2items', 'dictsort', 'difference', 'dirname', 'e', 'escape', 'extract', 'filesizeformat', 'first',
    'flatten', 'float', 'forceescape', 'format', 'from_json', 'from_yaml', 'from_yaml_all', 'groupby', 'hash', 'human_readable',
    'human_to_bytes', 'indent', 'int', 'intersect', 'items', 'items2dict', 'join', 'last', 'length', 'list', 'log', 'lower', 'mandatory',
    'map', 'max', 'md5', 'min', 'path_join', 'permutations', 'pow', 'pprint', 'product', 'quote', 'regex_escape', 'regex_findall',
    'regex_replace', 'regex_search', 'reject', 'rejectattr', 'rekey_on_member', 'relpath', 'replace', 'reverse', 'root', 'round', 'safe',
    'select', 'selectattr', 'sha1', 'slice', 'sort', 'split', 'splitext', 'string', 'striptags', 'subelements', 'sum',
    'symmetric_difference', 'ternary', 'title', 'to_datetime', 'to_json', 'to_nice_json', 'to_nice_yaml', 'to_uuid', 'to_yaml', 'tojson',
    'trim', 'truncate', 'type_debug', 'union', 'unique', 'upper', 'urldecode', 'urlencode', 'urlize', 'urlsplit', 'win_basename',
    'win_dirname', 'win_splitdrive', 'wordcount', 'wordwrap', 'xmlattr', 'zip', 'zip_longest',
))
TESTS = frozenset((
    'all', 'any', 'boolean', 'callable', 'changed', 'change', 'contains', 'defined', 'divisibleby', 'eq', 'equalto', 'escaped', 'even',
    'failed', 'failure', 'false', 'falsy', 'filter', 'finished', 'float', 'ge', 'greaterthan', 'gt', 'in', 'integer', 'issubset', 'issuperset',
    'iterable', 'le', 'lessthan', 'lower', 'lt', 'mapping', 'match', 'nan', 'ne', 'none', 'number', 'odd', 'reachable', 'regex', 'sameas', 'search',
    'sequence', 'skip', 'skipped', 'started', 'string', 'subset', 'succeeded', 'success', 'superset', 'test', 'true', 'truthy', 'undefined',
    'unreachable', 'upper', 'version', 'version_compare', '!=', '<', '<=', '==', '>', '>=',
))
LOOKUPS = frozenset(('cartesian', 'dict', 'flattened', 'indexed_items', 'items', 'list', 'nested', 'random_choice', 'sequence', 'subelements', 'together'))

# What releases that can register parts of a result say for all of it.
_WHOLE = compat.optional('ansible._internal._task', 'POLYMORPHIC_RESULT_EXPRESSION')

# Variables that are looked at whether a template names them or not.
_SETTINGS = ('ansible_', 'mitogen_', 'spindle_')

_LOOKING_UP = ('lookup', 'query', 'q')
# Not now(), nor strftime among the filters: what time it is says when the items ahead of one have ended.
_FUNCTIONS = frozenset(('cycler', 'dict', 'joiner', 'lipsum', 'namespace', 'range', 'undef'))
_TAKE_A_NAME = {'map': 0, 'select': 0, 'reject': 0, 'selectattr': 1, 'rejectattr': 1}
# Names behind which anything may be.
_ANYTHING = frozenset(('vars', '_task', 'varnames', 'self', 'caller', 'environment', 'template_run_date'))  # the last is a clock, too
# What the data of a template may not be told: it would be changed for all who see it.
_CHANGING = frozenset(('add', 'append', 'clear', 'discard', 'extend', 'insert', 'pop', 'popitem', 'remove', 'reverse', 'setdefault', 'sort',
                       'update', 'difference_update', 'intersection_update', 'symmetric_difference_update', '__setitem__', '__delitem__'))

# What a label may be made with, as it comes to something, or to an undefined value, whatever it is given: a number or null, too. Other errors in a label
# end the loop. Filters with the numbers of arguments that they take.
_LABEL_FILTERS = {
    'bool': (0,), 'capitalize': (0,), 'd': (0, 1, 2), 'default': (0, 1, 2), 'e': (0,), 'escape': (0,), 'lower': (0,), 'quote': (0,), 'replace': (2,),
    'string': (0,), 'title': (0,), 'trim': (0,), 'type_debug': (0,), 'upper': (0,),
}
_LABEL_NODES = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Concat,
                nodes.CondExpr, nodes.Not, nodes.And, nodes.Or, nodes.Test)
_LABEL_TESTS = frozenset(('defined', 'undefined', 'none', 'string'))

# Fields that are looked at in a way of their own, or that have been evaluated already.
_APART = frozenset(('loop', 'loop_with', 'loop_control', 'register', 'changed_when', 'failed_when', 'when', 'until', 'listen', 'resolved_action',
                    'collections', 'action'))
# Of so many hosts, values are looked up that a template takes from one that is not named.
_MOST_HOSTS = 20
# So many values are looked at.
_MOST_VALUES = 20000

_HOME = os.path.realpath(os.path.dirname(ansible.__file__)) + os.sep
_env = jinja2.Environment()


class Dependent(Exception):
    """Why a loop's items may depend on each other."""


def proven(executor, items):
    """What to look at more with, if items of this loop can be begun while those ahead of them are under way; else None."""
    try:
        if len(items) < FEWEST_ITEMS:
            return None
        return _check(executor._task, executors.task_variables(executor), items)
    except Dependent as e:
        log.debug('loop items one by one: %s' % e)
    except Exception as e:
        log.debug('loop items one by one: not understood: %r' % (e,))
    return None


def behind(task, variables, registered, files=None):
    """What to look at more with, if a task can be begun while others are under way, whose results will have these names. Raises Dependent.

    files are the names of files of variables, which may be templates: they are made out for each task.
    """
    _check_switch(variables)
    _check_alone(task)
    scan = _Scan(variables, frozenset(registered))
    _look_ahead(task, variables, scan)
    scan.value(files or [])
    after = _Scan(variables, frozenset(registered) - names(task))
    after.conditions(task.changed_when)
    after.conditions(task.failed_when)
    for one in (scan, after):
        one.overridden()
    return scan


def ahead(task, variables, handlers):
    """Raises Dependent where other tasks may not be begun behind one, before its result was looked at: it can fail, or end the play, by what it is not told on the target."""
    _check_switch(variables)
    _check_alone(task)
    check_end(task, handlers)


def check_end(task, handlers):
    """The half of that which does not hold for what is begun behind others, too. Raises Dependent."""
    if task.failed_when not in (None, [], [False], False) or task.changed_when not in (None, [], [True], [False], True, False):
        raise Dependent('it may fail by a condition')
    if task.ignore_unreachable:
        raise Dependent('the play may go on without the host')
    if any(not isinstance(name, str) or name not in handlers for name in listed(task.notify)):
        raise Dependent('it may notify what is not there')


def listed(value):
    """A field that may be one text or several: it is as it was written until a task runs."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def names(task):
    """The names that a task's result is registered under, where it is as a whole."""
    register = task.register or ()
    if isinstance(register, dict):
        if any(value != _WHOLE for value in register.values()):
            raise Dependent('parts of its result are registered')
        return frozenset(register)
    return frozenset(listed(register))


def _is_name(name):
    """Whether a result can be registered by it. Up to 2.18 Ansible asks that behind the call, and fails the task, and the loop, that has another one."""
    text = str(name)
    return re.match('[A-Za-z_][A-Za-z0-9_]*\\Z', text) is not None and not keyword.iskeyword(text)


def _check_alone(task):
    """What a task must be, wherever it stands."""
    if type(task) is not Task or not methods.needs_connection(str(task.action)):
        raise Dependent('it is done on the controller')  # there are modules of such names, to be documented
    _check_task(task, conditions=False)
    if task.loop is not None or task.loop_with or getattr(task, 'debugger', None) or task.run_once or task.delegate_to:
        raise Dependent('it is no plain task')
    if '{' in '%s%s' % (task.action, task.name):
        raise Dependent('its name is a template')
    if '{' in str(getattr(task, 'throttle', '')):
        raise Dependent('its throttle is a template')  # which the main process evaluates
    for name in names(task):
        if not _is_name(name):
            raise Dependent('register is no name')
        if str(name).startswith(_SETTINGS):
            raise Dependent('its result is a setting')
    _check_action(task, ANY)


def call_of(task):
    """The op of the one call that an item makes."""
    return 'composite' if methods.short(str(task.action)) in COPIES else 'module'


def _check_switch(variables):
    if not settings.switched(variables, 'spindle_pipeline'):
        raise Dependent('spindle_pipeline says so')


def _check(task, variables, items):
    _check_switch(variables)
    _check_task(task)
    if '{' in str(task.connection or ''):  # newer releases have all items behind the first go by its connection
        raise Dependent('the connection is a template')
    if not compat.tells_become() and any('{' in str(value) for value in (
            task.become, task.become_method, variables.get('ansible_become'), task.remote_user, task.port)):
        # and up to 2.10 what one item has connected by stays with those behind it
        raise Dependent('each item may become another, and needs a connection of its own for it')
    _check_action(task)
    registered = task.register or ()
    if isinstance(registered, str):
        registered = (registered,)
    elif registered and not isinstance(registered, dict):
        raise Dependent('register is not understood')
    if not all(_is_name(name) for name in registered):
        raise Dependent('register is no name')
    before = _Scan(variables, frozenset(str(name) for name in registered))
    _look_ahead(task, variables, before)
    if compat.templates_twice():
        text = str(items)
        if '{{' in text or '{%' in text:
            before.value(items)
    after = _Scan(variables, frozenset())
    after.conditions(task.changed_when)
    after.conditions(task.failed_when)
    label = _Scan(variables, frozenset(), label=True)
    label.value(getattr(task.loop_control, 'label', None))
    if compat.templates_twice():
        label.value(items)
    if isinstance(registered, dict):
        after.conditions(list(registered.values()), ('_task',))
    for scan in (before, after, label):
        scan.overridden()
    return before


def _look_ahead(task, variables, scan):
    """Look at all that is evaluated ahead of a task's call."""
    for name in _fields(task):
        if name not in _APART:
            scan.value(getattr(task, name))
    scan.conditions(task.when)
    for name in variables:
        if str(name).startswith(_SETTINGS) and str(name) != 'ansible_facts':
            scan.value(variables[name])  # connections are set up with them


def _fields(task):
    found = getattr(type(task), 'fattributes', None)
    if found is None:
        found = task._valid_attrs
    return list(found)


def _check_task(task, conditions=True):
    # Releases that know of no default for retries wait for success where a number is given.
    if task.until or task.retries != compat.default_of(task, 'retries') or getattr(task, 'async_val', 0) or task.poll != compat.default_of(task, 'poll'):
        raise Dependent('it is waited for')
    if conditions and not compat.keeps_condition_errors() and any(
            getattr(task, name) not in (None, [], [True], [False], True, False) for name in ('changed_when', 'failed_when')):
        raise Dependent('a condition that fails would end the loop')
    if getattr(task, 'timeout', 0):
        raise Dependent('it has a time limit')
    control = task.loop_control
    if control is not None and (getattr(control, 'break_when', None) or getattr(control, 'pause', 0)):
        raise Dependent('the loop is controlled')
    if control is not None and any('{' in str(getattr(control, name, '')) for name in ('loop_var', 'index_var', 'extended', 'extended_allitems')):
        raise Dependent('the names of the loop are templates')
    if '{' in str(task.delegate_to or ''):
        raise Dependent('items are for different hosts')


def _check_action(task, known=ONE_CALL):
    name = methods.short(str(task.action))
    if known is not ANY and name not in known and name not in COPIES:
        raise Dependent('%s is not known to make one call' % name)
    collections = list(task.collections or ()) or None
    module = module_loader.find_plugin_with_context(str(task.action), '', ignore_deprecated=True, collection_list=collections)
    _ours(module.plugin_resolved_path if module.resolved else None)
    own = name in _WITH_OWN_ACTION or name in COPIES
    if action_loader.has_plugin(str(task.action), collection_list=collections) != own:
        raise Dependent('%s has another action' % name)
    action = action_loader.find_plugin_with_context(str(task.action) if own else 'ansible.legacy.normal', ignore_deprecated=True, collection_list=collections if own else None)
    _ours(action.plugin_resolved_path if action.resolved else None)
    if name in _WITH_OWN_ACTION:
        module = module_loader.find_plugin_with_context('ansible.legacy.command', '', ignore_deprecated=True, collection_list=collections)
        _ours(module.plugin_resolved_path if module.resolved else None)


def _ours(path):
    """Only plugins of Ansible itself are known."""
    if not path or not os.path.realpath(str(path)).startswith(_HOME):
        raise Dependent('%s is somebody\'s own' % path)


def _check_label(tree):
    for node in tree.find_all(nodes.Node):
        plain = isinstance(node, _LABEL_NODES)
        if plain and isinstance(node, (nodes.Filter, nodes.Test)):
            takes = _LABEL_FILTERS.get(methods.short(node.name), ()) if isinstance(node, nodes.Filter) else (0,)
            plain = len(node.args) in takes and not (node.kwargs or node.dyn_args or node.dyn_kwargs)
            if isinstance(node, nodes.Test):
                plain = plain and methods.short(node.name) in _LABEL_TESTS
            elif node.name == 'replace':
                plain = plain and all(isinstance(one, nodes.Const) and isinstance(one.value, str) for one in node.args)
        if not plain:
            raise Dependent('a label that may end the loop')


class _Scan(object):
    """A look at all that templates may lead to."""

    def __init__(self, variables, forbidden, label=False):
        self.variables = variables
        self.forbidden = forbidden
        self._label = label  # it may not fail in a way that ends the loop, with items sent that would not have run
        self._word = re.compile(r'\b(%s)\b' % '|'.join(sorted(forbidden))) if forbidden else None
        self._seen = set()
        self._plugins = {'filter': set(), 'test': set(), 'lookup': set()}
        self._left = _MOST_VALUES

    def file(self, content):
        """Whether a template in a file looks at nothing of other items'."""
        seen = set(self._seen)
        try:
            text = content.decode('utf-8')
            if text.startswith(('#jinja2:', '$ANSIBLE_VAULT')):
                raise Dependent('it is no plain template')
            self._template(text)
            self.overridden()
            return True
        except Exception as e:
            log.debug('a template waits for its turn: %s' % e)
        self._seen = seen  # what was found to be wrong is so for the next one, too
        return False

    def value(self, value):
        """A value: text may be a template."""
        self._left -= 1
        if self._left < 0:
            raise Dependent('too many values')
        if isinstance(value, str):
            if '{' in value:
                self._template(value)
        elif isinstance(value, dict):
            for key in value:
                self.value(key)
                self.value(value[key])
        elif isinstance(value, (list, tuple)):
            for one in value:
                self.value(one)
        elif compat.hides_template(value):
            self.value(str(value))

    def conditions(self, value, known=()):
        """Expressions."""
        if value is None or isinstance(value, bool):
            return
        for text in value if isinstance(value, (list, tuple)) else [value]:
            if not isinstance(text, str):
                continue
            if '{{' in text or '{%' in text:
                raise Dependent('a condition with a template in it')
            self._template('{{ %s }}' % text, known)
            found = self.variables.get(text.strip()) if text.strip().isidentifier() else None
            if isinstance(found, str):  # releases up to 2.14 take it for the condition
                self.conditions(found)

    def _template(self, text, known=()):
        text = compat.plain(text)
        if self._word is not None and self._word.search(text):
            raise Dependent('it looks at the result of another item')
        if '{{' not in text and '{%' not in text:
            return
        if text.startswith('#jinja2:'):
            raise Dependent('a template with marks of its own')
        try:
            tree = _env.parse(text)
        except jinja2.TemplateError:
            raise Dependent('a template is not understood')
        if self._label:
            _check_label(tree)
        self._tree(tree)
        for name in set(node.name for node in tree.find_all(nodes.Name) if node.ctx == 'load'):
            if name in _ANYTHING and name not in known or name in self.forbidden:
                raise Dependent('%s may be anything' % name)
            if name not in self._seen:
                self._seen.add(name)
                if name == 'ansible_facts':
                    self._facts(self.variables.get(name))
                elif name in self.variables:
                    self.value(self.variables[name])

    def _facts(self, facts):
        """What is found out about a host is no template, whatever it looks like, in no release. A variable of that name can be put in its place, though.

        There may be many thousands of facts: they do not count as values that were looked at.
        """
        left = [facts]
        while left:
            value = left.pop()
            if isinstance(value, dict):
                left.extend(value)
                left.extend(value.values())
            elif isinstance(value, (list, tuple)):
                left.extend(value)
            elif isinstance(value, str):
                if '{' in value and compat.may_be_template(value):
                    self._template(value)
            elif compat.hides_template(value):
                raise Dependent('a fact that is encrypted')

    def _tree(self, tree):
        for node in tree.find_all((nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends, nodes.Macro, nodes.CallBlock)):
            raise Dependent('a template with %s' % type(node).__name__)
        for node in tree.find_all(nodes.Filter):
            self._plugin('filter', node.name, FILTERS)
            at = _TAKE_A_NAME.get(methods.short(node.name))
            if at is not None and (node.dyn_args is not None or node.dyn_kwargs is not None):
                raise Dependent('a plugin is named by a template')
            if at is not None and len(node.args) > at:
                of = ('filter', FILTERS) if at == 0 and methods.short(node.name) == 'map' else ('test', TESTS)
                self._plugin(of[0], self._constant(node.args[at]), of[1])
        for node in tree.find_all(nodes.Test):
            self._plugin('test', node.name, TESTS)
        self._others(tree)
        for node in tree.find_all(nodes.Call):
            self._call(node)
        for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
            attribute = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, 'value', None)
            if isinstance(attribute, str) and (attribute in _CHANGING or attribute.startswith('__')):
                raise Dependent('a template that changes what it sees')
        for node in tree.find_all((nodes.Name, nodes.Filter)):
            if getattr(node, 'name', None) in _LOOKING_UP + tuple(_FUNCTIONS) and isinstance(node, nodes.Name) and node.ctx != 'load':
                raise Dependent('a template with names of its own')

    def _others(self, tree):
        """What is taken from hostvars is made of templates by the variables of its host: it has to be plain."""
        plain = 0
        calls = dict((id(call.node), call) for call in tree.find_all(nodes.Call))
        for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
            host = node.node
            if isinstance(host, (nodes.Getattr, nodes.Getitem)) and isinstance(host.node, nodes.Name) and host.node.name == 'hostvars':
                key = self._key(node)
                if id(node) in calls:
                    if key != 'get' or not calls[id(node)].args:
                        raise Dependent('hostvars may be anything')
                    key = self._constant(calls[id(node)].args[0])
                self._of_host(self._host(host), key)
                plain += 1
        if plain != len([node for node in tree.find_all(nodes.Name) if node.name == 'hostvars']):
            raise Dependent('hostvars may be anything')

    @staticmethod
    def _key(node):
        if isinstance(node, nodes.Getattr):
            return node.attr
        return node.arg.value if isinstance(node.arg, nodes.Const) else None

    def _host(self, node):
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Name) and node.arg.name == 'inventory_hostname':
            return self.variables['inventory_hostname']
        return self._key(node)

    def _of_host(self, host, name):
        known = self.variables['hostvars']
        hosts = list(known) if host is None else [host]
        if name is None or len(hosts) > _MOST_HOSTS:
            raise Dependent('hostvars may be anything')
        for one in hosts:
            found = known.raw_get(one)
            text = str(found[name]) if name in found else ''
            if '{{' in text or '{%' in text:
                raise Dependent('hostvars.%s is a template' % name)

    def _call(self, node):
        if isinstance(node.node, nodes.Name):
            name = node.node.name
            if name in _LOOKING_UP:
                self._plugin('lookup', self._constant(node.args[0]) if node.args else '', LOOKUPS)
            elif name not in _FUNCTIONS:
                raise Dependent('a template calls %s' % name)
        elif not isinstance(node.node, nodes.Getattr):
            raise Dependent('a template calls what it has found')

    @staticmethod
    def _constant(node):
        if not isinstance(node, nodes.Const) or not isinstance(node.value, str):
            raise Dependent('a plugin is named by a template')
        return node.value

    def _plugin(self, kind, name, known):
        name = methods.short(name)
        if name not in known:
            raise Dependent('the %s %s is not known' % (kind, name))
        self._plugins[kind].add(name)

    def overridden(self):
        """Refuse plugins whose names somebody has given to their own."""
        for kind, loader in (('filter', filter_loader), ('test', test_loader), ('lookup', lookup_loader)):
            names = self._plugins[kind]
            for path in loader._get_paths() if names else ():
                path = getattr(path, 'path', path)
                if os.path.realpath(path).startswith(_HOME) or not os.path.isdir(path):
                    continue
                for entry in os.listdir(path):
                    stem, extension = os.path.splitext(entry)
                    if extension not in ('.py', '.yml', '.yaml'):
                        continue
                    if stem in names or kind != 'lookup' and self._mentions(os.path.join(path, entry), names):
                        raise Dependent('%s may be of %s' % (stem, path))

    @staticmethod
    def _mentions(path, names):
        with open(path, 'rb') as f:
            text = f.read().decode('utf-8', 'replace')
        return any(re.search(r'\b%s\b' % re.escape(name), text) for name in names if name[0].isalpha())
