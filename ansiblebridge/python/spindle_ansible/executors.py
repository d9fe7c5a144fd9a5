"""An item's run of TaskExecutor._execute beside the loop's own, in the manners of the releases.

What it leaves behind in the executor, the variables and the task is what Ansible's loop looks
at when it has run an item itself, so it is put there when the item's turn has come.
"""
import contextvars
import copy
import inspect
import itertools

from ansible.executor.task_executor import TaskExecutor

from spindle_ansible import compat
from spindle_ansible import connection as connection_mod
from spindle_ansible import settings

_PARAMETERS = tuple(inspect.signature(TaskExecutor._execute).parameters)[1:]
_TaskContext = compat.optional('ansible._internal._task', 'TaskContext')
_ABSENT = object()

# What _execute is given: the variables; the loop's templar besides; nothing, as it is all in a context.
_VARIABLES = ('variables',)
_TEMPLAR = ('templar', 'variables')
_CONTEXT = ()
_CONTEXT_FIELDS = ('_task', '_base_task_vars', '_active_task_vars', '_raw_loop_results', '_item', '_item_index', '_templar', '_loop_extended',
                   '_loop_var', '_index_var')


def understood():
    """Whether this release's loop is one that items can be taken out of."""
    if _PARAMETERS == _CONTEXT:
        fields = getattr(_TaskContext, '__dataclass_fields__', ())
        return all(name in fields for name in _CONTEXT_FIELDS)
    return _PARAMETERS in (_VARIABLES, _TEMPLAR)


def task_variables(executor):
    """The variables that a loop starts with."""
    return _TaskContext.current().task_vars if _PARAMETERS == _CONTEXT else executor._job_vars


def connection_of(executor):
    """A connection for another item, like the one that the executor has; None if it is to make its own."""
    real = executor._connection
    if not connection_mod.is_ours(real) or not real.spindle.connected:
        return None
    return real.spindle_twin()


def settled(executor):
    """Whether the first item of a loop finds out nothing about its host that those behind it would have to know."""
    python = settings.interpreter(task_variables(executor), None)
    return not executor._task.delegate_to and not (python.auto and not python.discovered)


def loop_variables(control, items, number):
    """What the loop sets for an item. A loop around this one may have left variables of the same names, so the task says which are set."""
    loop_var = control.loop_var if control is not None else 'item'
    found = {'ansible_loop_var': loop_var, loop_var: items[number]}
    if control is None:
        return found
    if control.index_var:
        found.update({'ansible_index_var': control.index_var, control.index_var: number})
    if control.extended:
        found['ansible_loop'] = _extended(control, items, number)
    return found


def _extended(control, items, number):
    """ansible_loop, in the order that templates see when they print it."""
    length = len(items)
    found = {} if hasattr(control, 'extended_allitems') else {'allitems': items}
    found.update({
        'index': number + 1, 'index0': number, 'first': number == 0, 'last': number + 1 == length, 'length': length,
        'revindex': length - number, 'revindex0': length - number - 1})
    if getattr(control, 'extended_allitems', False):
        found['allitems'] = items
    if number + 1 < length:
        found['nextitem'] = items[number + 1]
    if number:
        found['previtem'] = items[number - 1]
    return found


class Origin(object):
    """What each item starts from: the task and the play context as they are before the loop swaps copies in."""

    def __init__(self, executor):
        self.executor = executor
        self.task = executor._task
        self.play_context = executor._play_context

    def current(self, args, kwargs):
        """The arguments that the loop gives for an item, by name; in a context, that."""
        if _PARAMETERS == _CONTEXT:
            return _TaskContext.current()
        return dict(zip(_PARAMETERS, args), **kwargs)

    def attempt(self, original, current, items, number):
        """An item's run."""
        made = _InContext if _PARAMETERS == _CONTEXT else _WithVariables
        return made(self, original, current, items, number)

    def copy_of_task(self):
        """The copy that the loop would make for an item."""
        task = self.task.copy(exclude_parent=True, exclude_tasks=True)
        task._parent = self.task._parent
        return task


class _Attempt(object):
    """One item's run of _execute, by an executor of its own."""

    def __init__(self, origin, original):
        self.origin = origin
        self.original = original
        self.executor = copy.copy(origin.executor)
        self.executor._spindle_loop = None
        self.executor._play_context = origin.play_context.copy()
        self.executor._connection = connection_of(origin.executor)
        self._context = contextvars.copy_context()

    def run(self):
        """Run it, in the thread that this is called in."""
        return self._context.run(self._run)

    def _leave(self, task, done):
        """Leave in the loop's own executor what there would be had it run the item."""
        executor = self.origin.executor
        vars(task).update(vars(done))
        executor._play_context = self.executor._play_context
        executor._connection = self.executor._connection
        if hasattr(self.executor, '_handler'):
            executor._handler = self.executor._handler


class _WithVariables(_Attempt):
    """For releases whose _execute is told the variables."""

    def __init__(self, origin, original, current, items, number):
        _Attempt.__init__(self, origin, original)
        self.executor._task = origin.copy_of_task()
        variables = current['variables']
        self.variables = variables.copy()
        self.variables.update(loop_variables(origin.task.loop_control, items, number))
        self._before = dict(self.variables)
        self.templar = None
        if 'templar' in current:
            self.templar = type(current['templar'])(loader=origin.executor._loader, variables=self.variables)

    def _run(self):
        if self.templar is None:
            return self.original(self.executor, variables=self.variables)
        return self.original(self.executor, templar=self.templar, variables=self.variables)

    def adopt(self, current):
        """Make the loop's variables those that the item has left behind."""
        variables = current['variables']
        for key, value in self.variables.items():
            if self._before.get(key, _ABSENT) is not value:
                variables[key] = value
        if self.templar is not None:
            seen = self.templar.available_variables
            current['templar'].available_variables = variables if seen is self.variables else seen
        self._leave(self.origin.executor._task, self.executor._task)


class _Behind(list):
    """An item's own result, seen as the last one of a list with all those ahead of it.

    Those are in the loop's own list once the item's turn has come; nobody has a right to look at them earlier.
    """

    def __init__(self, ahead, earlier):
        list.__init__(self)
        self.ahead = ahead
        self.earlier = earlier

    def __len__(self):
        return self.ahead + list.__len__(self)

    def __iter__(self):
        return itertools.chain(itertools.islice(self.earlier, self.ahead), self.own())

    def __getitem__(self, at):
        return list(iter(self))[at]

    def __setitem__(self, at, value):
        list.__setitem__(self, at - self.ahead if at >= 0 else at, value)

    def own(self):
        """What was added here."""
        return list.__iter__(self)


class _InContext(_Attempt):
    """For releases where an ambient context holds the task, its variables and its results."""

    def __init__(self, origin, original, current, items, number):
        _Attempt.__init__(self, origin, original)
        mine = self.mine = copy.copy(current)
        mine._task = origin.copy_of_task()
        mine._active_task_vars = current._base_task_vars.copy()
        set_here = loop_variables(origin.task.loop_control, items, number)
        mine._active_task_vars.update(set_here)
        mine._templar = None
        mine._item, mine._item_index = items[number], number
        mine._loop_extended = set_here.get('ansible_loop')
        mine._raw_loop_results = _Behind(number, current._raw_loop_results)

    def _run(self):
        with self.mine:
            return self.original(self.executor)

    def adopt(self, current):
        """Make the loop's context what it would be had the item run in it."""
        mine = self.mine
        current._active_task_vars = mine._active_task_vars
        current._templar = mine._templar
        current._registered_vars_enabled = mine._registered_vars_enabled
        for result in mine._raw_loop_results.own():
            current._raw_loop_results.append(result)
        self._leave(current._task, mine._task)
