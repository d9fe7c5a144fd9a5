"""Loop items that are begun before the ones ahead of them have ended.

The loop itself is Ansible's own, in its own thread. When it asks for an item, some of the
next ones are begun as well, each by Ansible's own code in a thread of its own, and left
alone when their call has been sent. Only one of all these threads runs at any time: they
hand a baton on, and so nothing needs a lock that does not need one otherwise. The agent
runs what was sent in the order of the items and never two at once (protocol.md, section 12).

An item whose first call is not the one that may be sent ahead waits for its turn with it,
and those behind it are not begun before it has ended. What copies may look at before their
turn is the affair of copies.py.
"""
import os
import threading
from collections import deque

from ansible.executor.task_executor import TaskExecutor
from ansible.utils.display import Display

from spindle_ansible import client as client_mod
from spindle_ansible import compat
from spindle_ansible import executors
from spindle_ansible import independence
from spindle_ansible import log
from spindle_ansible import runtime
from spindle_ansible import wire

# How many items, and how many bytes of their input and of results like the last one, may be ahead.
MOST_ITEMS = 64
MOST_BYTES = 4 << 20
# What one item may send ahead.
SMALL = 160 << 10
# How long an item that was given up may take to notice.
END_SECONDS = 5

_NEW, _SENT, _ASKS, _DONE = range(4)

_here = threading.local()


class Abandoned(BaseException):
    """Ends an item that was begun in vain. Nothing in Ansible catches it."""


class Again(Abandoned):
    """Ends an item that is to be run once more, from the start, as if it had never been begun."""


class _Item(object):
    """An item that was begun ahead."""

    def __init__(self, loop, attempt):
        self.loop = loop
        self.attempt = attempt
        self.state = _NEW
        self.first = False  # all those ahead of it have ended
        self.alone = False  # none behind it may begin before it has ended
        self.sent = None
        self.size = 0
        self.outcome = None
        self.error = None
        self.words = []
        self.names = frozenset()  # of the files that it may write
        self.private = True  # nobody else has what is written
        self.looked = False  # whether a copy has made sure that what it has read is what it would read in its turn
        self._wake = threading.Lock()
        self._wake.acquire()
        self._question = None
        self._reply = None

    # In the loop's thread.

    def start(self):
        """Run it up to the point where it has to wait."""
        self._wake.release()
        threading.Thread(target=self._run, daemon=True).start()
        self.loop.wait()

    def resume(self, reply=None, error=None):
        """Let it go on with what it has waited for."""
        self._reply = reply, error
        self._wake.release()
        self.loop.wait()

    def answer(self):
        """Answer what it asks, and let it go on."""
        try:
            reply = self._question()
        except Exception as e:
            self.resume(error=e)
        else:
            self.resume(reply)

    def abandon(self):
        """End it, wherever it is."""
        self._reply = None, Abandoned()
        self._wake.release()
        self.loop.wait(END_SECONDS)

    def tell(self):
        """Say now what it has said."""
        words, self.words = self.words, []
        for function, args, kwargs in words:
            function(*args, **kwargs)

    # In the item's own.

    def _run(self):
        self._wake.acquire()
        _here.item = self
        runtime.ask_through(self.turn)
        try:
            self.outcome = self.attempt.run()
        except BaseException as e:
            self.error = e
        finally:
            self.state = _DONE
            self.loop.go_on()

    def _pause(self, state):
        self.state = state
        self.loop.go_on()
        self._wake.acquire()
        reply, error = self._reply
        if error is not None:
            raise error
        return reply

    def turn(self, question):
        """Wait until this is the first item, and have something asked in the loop's thread."""
        if self.loop.ended:
            raise Abandoned()
        early = not self.first
        if early:
            self.alone = True
        self._question = question
        reply = self._pause(_ASKS)
        if early and self.loop.doubtful():
            raise Again()
        return reply

    def wait(self):
        """Wait until this is the first item."""
        if not self.first:
            self.turn(lambda: None)

    def others(self):
        """The items ahead of this one that have not ended."""
        return [other for other in self.loop.flight if other is not self]

    def send(self, op, context, meta, parts, closure, last):
        """Send a call ahead and wait for its result; None if it is to be made as ever."""
        loop = self.loop
        size = sum(len(part) for part in parts)
        if self.first or self.alone or self.sent is not None or size > SMALL or not last or not loop.takes(op, context, closure):
            return None
        if op == 'composite' and not self.looked or op != 'composite' and 'pre' in meta:
            return None
        self.size = size
        try:
            self.sent = loop.link(op, context, meta, parts, closure)
        except client_mod.ClientError:
            return None
        result = self._pause(_SENT)
        if result.status == wire.STALE and result.errno:  # it was not begun, since one ahead of it has not ended well
            if op == 'composite':
                raise Again()  # what that one does instead may be done to this one's source
            return None
        return result


class Loop(object):
    """A loop of which items are begun ahead."""

    def __init__(self, executor, items, scan):
        self.executor = executor
        self.items = items
        self.scan = scan
        self.templates = {}  # what was found of files
        self.op = independence.call_of(executor._task)
        self.origin = executors.Origin(executor)
        self.flight = deque()
        self.ended = False
        self._stopped = False  # the rest is run as ever
        self._number = -1  # of the item that Ansible is at
        self._next = 0  # the first that was not begun
        self._limit = MOST_ITEMS
        self._bytes = 0
        self._result = 0  # how large the last one was
        self._known = None  # (client, context, closure) of a call that was made the slow way and went well
        self._broken = False  # the chain has ended, with links in flight
        self._chain = None
        self._link = 0
        self._client = None  # what the links in flight were sent by
        self._baton = threading.Semaphore(0)
        self._lost = False

    # The baton.

    def go_on(self):
        """An item's thread lets the loop's thread run."""
        self._baton.release()

    def wait(self, seconds=None):
        """The loop's thread waits until an item lets it run."""
        self._lost = True
        if self._baton.acquire(timeout=seconds):
            self._lost = False

    # What calls there are.

    def answered(self, op, context, kwargs, result):
        """A call was made the slow way: if it went well, others like it can be sent ahead."""
        self._known = None
        if op == self.op and result.status == wire.OK and kwargs.get('closure'):
            self._known = runtime.client(), context, kwargs['closure']
            self._chain = None

    def takes(self, op, context, closure):
        """Whether such a call can be sent ahead."""
        return (op == self.op and self._known is not None and not self._broken and self._known[0].alive
                and self._known[1:] == (context, closure))

    def link(self, op, context, meta, parts, closure):
        """Send a call as the next link of the chain."""
        if self._chain is None:
            self._chain, self._link = os.urandom(8).hex(), 0
        meta = dict(meta, chain=[self._chain, self._link])
        self._client = self._known[0]
        sent = self._client.begin(op, context=context, meta=meta, parts=parts, closure=closure)
        self._link += 1
        return sent

    def doubtful(self):
        """Whether what the items under way have seen of the controller's files may not be so any more."""
        return self._broken and self.op == 'composite'

    def _finish(self, item):
        """Wait for what an item has sent, and hand it over."""
        item.first = True
        self._bytes -= item.size
        try:
            result = self._client.finish(item.sent)
        except client_mod.ClientError as e:
            self._broken = True
            item.resume(error=e)
            return
        if result.status == wire.OK and not (self.op == 'composite' and result.rc):
            self._result = len(result.out) + len(result.err)
            self._limit = min(MOST_ITEMS, self._limit * 2)
        else:
            self._broken = True
            self._limit = 2
        item.resume(result)

    # Items.

    def execute(self, original, args, kwargs):
        """What Ansible asks for: the next item's result."""
        self._number += 1
        self._next = max(self._next, self._number)
        current = self.origin.current(args, kwargs)
        if not self.flight:
            if self._broken:
                self._broken, self._known = False, None
            if self._known is None or self._stopped or not self._known[0].alive:
                return original(self.executor, *args, **kwargs)
        self._fill(original, current)
        if not self.flight:
            return original(self.executor, *args, **kwargs)
        item = self.flight[0]
        early = item.state == _DONE  # it was skipped, or has failed, without a call
        while item.state != _DONE:
            if item.state == _SENT:
                self._fill(original, current)
                self._finish(item)
            else:
                item.first = True
                item.answer()
        self.flight.popleft()
        if isinstance(item.error, Again) or early and self.doubtful():
            return original(self.executor, *args, **kwargs)
        item.tell()
        item.attempt.adopt(current)
        if item.error is not None:
            raise item.error
        return item.outcome

    def _fill(self, original, current):
        """Begin as many items as may be ahead: in bursts, as one packet is cheaper than many."""
        if len(self.flight) > self._limit // 2:
            return
        while self._next < len(self.items) and len(self.flight) < self._limit and not (self._stopped or self._held()):
            try:
                attempt = self.origin.attempt(original, current, self.items, self._next)
            except Exception as e:
                log.debug('not begun ahead: %r' % (e,))
                self._stopped = True
                return
            item = _Item(self, attempt)
            self._next += 1
            self.flight.append(item)
            item.start()
            if item.state == _SENT:
                self._bytes += item.size

    def _held(self):
        """Whether nothing may begin behind the last item."""
        if not self.flight:
            return False
        last = self.flight[-1]
        return (self._broken or last.alone or last.error is not None
                or self._bytes + len(self.flight) * self._result > MOST_BYTES)

    def end(self):
        """Give up what is still under way: it has been begun in vain."""
        self.ended = True
        for item in self.flight:
            if item.state == _SENT:
                self._client.cancel(item.sent, 'the loop has ended')
        for item in self.flight:
            if item.state in (_SENT, _ASKS) and not self._lost:
                item.abandon()
        self.flight.clear()


def item():
    """The item that this thread runs for a loop, or None."""
    return getattr(_here, 'item', None)


def send(op, context, kwargs, last):
    """The result of a call that is sent ahead, or None if it is to be made as ever; last: as far as one can tell, the task makes no other one."""
    item = getattr(_here, 'item', None)
    if item is None or kwargs.get('noreply') or kwargs.get('timeout_ms'):
        return None
    return item.send(op, context, kwargs.get('meta') or {}, kwargs.get('parts') or (), kwargs.get('closure'), last)


def answered(op, context, kwargs, result):
    """A call was made as ever."""
    item = getattr(_here, 'item', None)
    loop = item.loop if item is not None else getattr(_here, 'loop', None)
    if loop is not None:
        loop.answered(op, context, kwargs, result)


def _run_loop(original):
    def run(self, items):
        scan = independence.proven(self, items) if runtime.active() else None
        if scan is None:
            return original(self, items)
        keep_words()
        outer = getattr(_here, 'loop', None)
        loop = self._spindle_loop = _here.loop = Loop(self, items, scan)
        try:
            return original(self, items)
        finally:
            self._spindle_loop, _here.loop = None, outer
            loop.end()
    return run


def _execute(original):
    def execute(self, *args, **kwargs):
        loop = getattr(self, '_spindle_loop', None)
        if loop is None:
            return original(self, *args, **kwargs)
        return loop.execute(original, args, kwargs)
    return execute


def _later(name, original):
    """A method of Display that an item's words wait in until its turn."""
    def say(*args, **kwargs):
        item = getattr(_here, 'item', None)
        if item is None or name == 'deprecated' and (kwargs.get('removed') or args[2:3] and args[2]):  # which raises
            return original(*args, **kwargs)
        item.words.append((original, args, kwargs))
        return None
    return say


class _Queue(object):
    """Display's way to the main process, with an item's words kept until its turn."""

    def __init__(self, real):
        self._real = real
        self.send_display = _later('send_display', real.send_display)

    def __getattr__(self, name):
        return getattr(self._real, name)


_WORDS = ('display', 'v', 'vv', 'vvv', 'vvvv', 'vvvvv', 'vvvvvv', 'verbose', 'debug', 'deprecated', 'warning', 'system_warning', 'banner', 'error')


def install():
    """In a worker: let loops be run ahead where they can be."""
    if getattr(TaskExecutor, '_spindle_loops', False) or not executors.understood():
        return
    TaskExecutor._spindle_loops = True
    TaskExecutor._run_loop = _run_loop(TaskExecutor._run_loop)
    TaskExecutor._execute = _execute(TaskExecutor._execute)


def keep_words():
    """Have what items say said in their turn."""
    display = Display()
    if getattr(display, '_spindle_later', False):
        return
    display._spindle_later = True
    if compat.DEFERS_WARNINGS:
        # What belongs to a task's result is kept there by Ansible. The rest goes by way of the queue.
        if display._final_q is not None:
            display._final_q = _Queue(display._final_q)
        return
    for name in _WORDS:
        setattr(display, name, _later(name, getattr(display, name)))
