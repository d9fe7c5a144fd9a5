"""Loop items that are begun before the ones ahead of them have ended.

The loop itself is Ansible's own, in its own thread. When it asks for an item, some of the
next ones are begun as well (flight.py).
"""
import gc

from ansible.executor.task_executor import TaskExecutor

from spindle_ansible import closure as closure_mod
from spindle_ansible import executors
from spindle_ansible import flight as flight_mod
from spindle_ansible import independence
from spindle_ansible import log
from spindle_ansible import runtime
from spindle_ansible import wire

# A loop of more items leaves so much behind that collecting it is worth while.
MANY_ITEMS = 200
# How many threads of items a process may have, all its hosts' loops together: where processes are limited, threads count. And how many each loop
# has in any case.
MOST_THREADS = 256
FEWEST_THREADS = 4

# The loops that are under way in this process.
_open = set()


class Loop(flight_mod.Flight):
    """A loop of which items are begun ahead."""

    def __init__(self, executor, items, scan):
        flight_mod.Flight.__init__(self)
        self.executor = executor
        self.items = items
        self.scan = scan
        self.templates = {}  # what was found of files
        self.contexts = {}  # an item that cannot have another one's connection object (2.10) need not ask where that leads
        self.op = independence.call_of(executor._task)
        self.origin = executors.Origin(executor)
        self._stopped = False  # the rest is run as ever
        self._number = -1  # of the item that Ansible is at
        self._next = 0  # the first that was not begun
        self._known = None  # (client, context, closure) of the calls that are sent ahead
        self._cold = executors.settled(executor)  # the first item may be a link as well

    def answered(self, op, context, kwargs, result):
        """A call was made the slow way: if it went well, others like it can be sent ahead."""
        self._known = None
        if op == self.op and result.status == wire.OK and kwargs.get('closure'):
            self._known = runtime.client(), context, kwargs['closure']
            self._chain = None

    def takes(self, op, context, closure):
        """Whether such a call can be sent ahead."""
        if op != self.op or self._broken:
            return False
        if self._known is None:
            client = runtime.client()
            if not closure_mod.holds(closure):
                return False
            self._known = client, context, closure
        return self._known[0].alive and self._known[1:] == (context, closure)

    def link(self, op, context, meta, parts, closure):
        """Send a call as the next link of the chain."""
        self._client = self._known[0]
        return flight_mod.Flight.link(self, op, context, meta, parts, closure)

    def doubtful(self):
        """Whether what the items under way have seen of the controller's files may not be so any more."""
        return self._broken and self.op == 'composite'

    def execute(self, original, args, kwargs):
        """What Ansible asks for: the next item's result."""
        self._number += 1
        self._next = max(self._next, self._number)
        current = self.origin.current(args, kwargs)
        if not self.under_way:
            if self._broken:
                self._broken, self._known, self._chain = False, None, None
            if self._stopped or not (self._known[0].alive if self._known else self._cold):
                return original(self.executor, *args, **kwargs)
            if not self._known:
                self._lead(original, current)
        if not self.under_way or not self.under_way[0].lead:
            self._fill(original, current)
        if not self.under_way:
            return original(self.executor, *args, **kwargs)
        item = self.under_way[0]
        early = item.state == flight_mod.DONE  # it was skipped, or has failed, without a call
        while item.state != flight_mod.DONE:
            if item.state == flight_mod.SENT:
                self._fill(original, current)
                self.finish(item)
            else:
                item.first = True
                item.answer()
        self.under_way.popleft()
        if isinstance(item.error, flight_mod.Again) or early and self.doubtful():
            return original(self.executor, *args, **kwargs)
        item.tell()
        item.attempt.adopt(current)
        if item.error is not None:
            raise item.error
        return item.outcome

    def _fill(self, original, current):
        """Begin as many items as may be ahead: in bursts, as one packet is cheaper than many, and early, as the target may be far away."""
        most = min(self._limit, max(FEWEST_THREADS, MOST_THREADS // max(1, len(_open))))
        if len(self.under_way) > most * 3 // 4:
            return
        while self._next < len(self.items) and len(self.under_way) < most and not (self._stopped or self.held()):
            item = self._item(original, current)
            if item is not None and not self.begin(item):
                self._next -= 1
                self._limit = max(2, len(self.under_way))
                return

    def _lead(self, original, current):
        """Begin the item whose turn it is, and what may be ahead if it has sent its call."""
        item = self._item(original, current)
        if item is None:
            return
        if not self.lead(item):
            self._next -= 1
        elif item.state == flight_mod.SENT:
            self.executor._connection = item.attempt.executor._connection  # where those behind it find one to go by
        else:
            self._cold = False

    def _item(self, original, current):
        """The next item; None if the rest is run as ever."""
        try:
            attempt = self.origin.attempt(original, current, self.items, self._next)
        except Exception as e:
            log.debug('not begun ahead: %r' % (e,))
            self._stopped = True
            return None
        self._next += 1
        return flight_mod.Item(self, attempt, self.scan, self.templates)


def _run_loop(original):
    def run(self, items):
        if len(items) > MANY_ITEMS:
            gc.enable()  # a worker has none: it ends soon, as a rule
        scan = independence.proven(self, items) if runtime.active() else None
        if scan is None:
            return original(self, items)
        flight_mod.keep_words()
        loop = self._spindle_loop = Loop(self, items, scan)
        _open.add(loop)
        outer = flight_mod.within(loop)
        try:
            return original(self, items)
        finally:
            self._spindle_loop = None
            _open.discard(loop)
            flight_mod.within(outer)
            loop.end()
    return run


def _execute(original):
    def execute(self, *args, **kwargs):
        loop = getattr(self, '_spindle_loop', None)
        if loop is None:
            return original(self, *args, **kwargs)
        return loop.execute(original, args, kwargs)
    return execute


def install():
    """In a worker: let loops be run ahead where they can be."""
    if getattr(TaskExecutor, '_spindle_loops', False) or not executors.understood():
        return
    TaskExecutor._spindle_loops = True
    TaskExecutor._run_loop = _run_loop(TaskExecutor._run_loop)
    TaskExecutor._execute = _execute(TaskExecutor._execute)
