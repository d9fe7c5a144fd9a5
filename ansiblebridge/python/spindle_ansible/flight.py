"""What is begun before what is ahead of it has ended: items of loops (ahead.py), and tasks (sequence.py).

Each is run by Ansible's own code, in a thread of its own, and left alone when its call has been sent. Only
one of all these threads runs at any time: they hand a baton on, and so nothing needs a lock that does
not need one otherwise. The agent runs what was sent in order, and never two at once (protocol.md, section 12).

What has no call that may be sent ahead waits for its turn with it, and nothing behind it is begun before
it has ended. What copies may look at before their turn is the affair of copies.py.
"""
import contextlib
import errno
import os
import threading
from collections import deque

from ansible.module_utils.common.text.converters import to_bytes
from ansible.utils.display import Display

from spindle_ansible import client as client_mod
from spindle_ansible import compat
from spindle_ansible import log
from spindle_ansible import runtime
from spindle_ansible import waiting
from spindle_ansible import wire

# How many items, and how many bytes of their input and of results like the last one, may be ahead.
MOST_ITEMS = 64
MOST_BYTES = 4 << 20
# What one item may send ahead.
SMALL = 160 << 10
# How long an item that was given up may take to notice.
END_SECONDS = 5

# What an item has come to: nothing yet, a call that is under way, a question, a result without a call, its end.
NEW, SENT, ASKS, HELD, DONE = range(5)

_here = threading.local()


class Abandoned(BaseException):
    """Ends an item that was begun in vain. Nothing in Ansible catches it."""


class Again(Abandoned):
    """Ends an item that is to be run once more, from the start, as if it had never been begun."""


class NoThread(Exception):
    """There is no thread for an item, which was not begun."""


class Item(object):
    """What was begun ahead: an item of a loop, or a task."""

    def __init__(self, flight, attempt, scan, templates):
        self.flight = flight
        self.attempt = attempt
        self.scan = scan  # what its templates are looked at with
        self.templates = templates  # what was found of files
        self.state = NEW
        self.first = False  # all those ahead of it have ended
        self.lead = False  # it was so when it began
        self.alone = False  # none behind it may begin before it has ended
        self.last = False  # none behind it may begin before it was answered
        self.sent = None
        self.op = None
        self.size = 0
        self.outcome = None
        self.error = None
        self.words = []
        self.names = frozenset()  # of the files that it may write
        self.private = True  # nobody else has what is written
        self.looked = False  # whether a copy has made sure that what it has read is what it would read in its turn
        self.check = None  # says whether it is, where that could not be made sure
        self.stale = False  # whether that is so no more, and its call was made all the same
        self.changed = False  # whether that has changed something, which counts as its own doing when it is run once more
        self.beside = None  # the directory of what it has read, and its inode: the agent does not begin it if it has that directory, too
        self._wake = threading.Lock()
        self._wake.acquire()
        self._question = None
        self._reply = None

    # In the thread that asks for results.

    def start(self):
        """Run it up to the point where it has to wait. Raises NoThread where there cannot be another thread."""
        try:
            threading.Thread(target=self._run, daemon=True).start()
        except RuntimeError as e:  # so many are allowed, or there is no memory for its stack
            raise NoThread(str(e))
        self._wake.release()
        self.flight.wait()

    def resume(self, reply=None, error=None):
        """Let it go on with what it has waited for."""
        self._reply = reply, error
        self._wake.release()
        self.flight.wait()

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
        self.flight.wait(END_SECONDS)

    def tell(self):
        """Say now what it has said."""
        words, self.words = self.words, []
        before, _here.item = item(), None  # a warning is shown by another method of Display, which must not wait once more
        try:
            for function, args, kwargs in words:
                function(*args, **kwargs)
        finally:
            _here.item = before

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
            self.state = DONE
            self.flight.go_on()

    def _pause(self, state):
        self.state = state
        self.flight.go_on()
        self._wake.acquire()
        reply, error = self._reply
        if error is not None:
            raise error
        return reply

    def turn(self, question):
        """Wait until this is the first one, and have something asked in the thread that asks for results."""
        if self.flight.ended:
            raise Abandoned()
        early = not self.first
        if early:
            self.alone = True
        self._question = question
        reply = self._pause(ASKS)
        if early and self.flight.doubtful():
            raise Again()
        return reply

    def wait(self):
        """Wait until this is the first one."""
        if not self.first:
            self.turn(lambda: None)

    def hold(self):
        """Wait for that with a result that took no call: what is behind it need not."""
        if not self.first:
            self._pause(HELD)

    def others(self):
        """What is ahead of this one and has not ended."""
        return [other for other in self.flight.under_way if other is not self]

    def send(self, op, context, meta, parts, closure, last):
        """Send a call ahead and wait for its result; None if it is to be made as ever."""
        flight = self.flight
        size = sum(len(part) for part in parts)
        if (self.first and not self.lead or self.alone or self.sent is not None or size > SMALL or not last
                or op == 'composite' and not self.looked or op != 'composite' and 'pre' in meta):
            return None
        if not flight.takes(op, context, closure):
            return None
        beside = self.beside or not self.lead and flight.beside
        if beside:
            meta = dict(meta, beside=beside)
        try:
            self.sent = flight.link(op, context, meta, parts, closure)
        except client_mod.ClientError:
            return None
        self.size, self.op = size, op
        flight.sent(self)
        result = self._pause(SENT)
        if self.stale:
            self.changed = b'"changed": true' in result.out
            raise Again()
        flight.apart = flight.apart or bool(beside) and result.status == wire.OK
        if result.status == wire.STALE and result.errno:  # it was not begun, since one ahead of it has not ended well
            flight.shares = flight.shares or result.errno == errno.EEXIST
            if op == 'composite' or flight.strict:
                raise Again()  # what that one does instead may be done to this one's source
            return None
        return result


class Flight(object):
    """What is under way, in order."""

    strict = False  # whether a link goes on only behind a module that has plainly done its work
    shares = False  # whether the target was seen to have the controller's files
    apart = False  # whether it was seen not to have them
    beside = None  # as Item.beside, for all of them

    def __init__(self):
        self.under_way = deque()
        self.ended = False
        self.contexts = None  # that were asked for, where what is begun need not ask once more
        self._limit = MOST_ITEMS
        self._bytes = 0
        self._result = 0  # how large the last one was
        self._broken = False  # the chain has ended, with links under way
        self._chain = None
        self._link = 0
        self._client = None  # what the links under way were sent by
        self._baton = threading.Semaphore(0)
        self._lost = False

    # The baton.

    def go_on(self):
        """An item's thread lets the one run that asks for results."""
        self._baton.release()

    def wait(self, seconds=None):
        """Wait until an item lets this thread run."""
        waiting.begins()
        self._lost = True
        if self._baton.acquire(timeout=seconds):
            self._lost = False

    # What calls there are.

    def answered(self, op, context, kwargs, result):
        """A call was made the slow way."""

    def takes(self, op, context, closure):
        """Whether such a call can be sent ahead."""
        raise NotImplementedError

    def well(self, item, result):
        """Whether what is behind a link is begun, going by its result."""
        return result.status == wire.OK and not (item.op == 'composite' and result.rc)

    def link(self, op, context, meta, parts, closure):
        """Send a call as the next link of the chain."""
        if self._chain is None:
            self._chain, self._link = os.urandom(8).hex(), 0
        place = [self._chain, self._link]
        meta = dict(meta, chain=place + [True] if self.strict else place)
        sent = self._client.begin(op, context=context, meta=meta, parts=parts, closure=closure)
        self._link += 1
        return sent

    def doubtful(self):
        """Whether what is under way may have seen files of the controller that are not so any more."""
        return False

    def finish(self, item):
        """Wait for what the first one has sent, and hand it over."""
        item.first = True
        self._bytes -= item.size
        try:
            result = self.result_of(item)
        except client_mod.ClientError as e:
            self._broken = True
            item.resume(error=e)
            return
        if self.well(item, result):
            self._result = len(result.out) + len(result.err)
            self._limit = min(MOST_ITEMS, self._limit * 2)
        else:
            self._broken = True
            self._limit = 2
        item.resume(result)

    def result_of(self, item):
        """Wait for a link's end."""
        return self._client.finish(item.sent)

    def begin(self, item):
        """Begin what comes next; whether that was possible."""
        self.under_way.append(item)
        try:
            item.start()
        except NoThread as e:
            self.under_way.pop()
            log.debug('not begun ahead: %s' % (e,))
            return False
        return True

    def lead(self, item):
        """Begin what nothing is ahead of, as far as its call, or its end; whether that was possible."""
        item.first = item.lead = True
        if not self.begin(item):
            return False
        while item.state == ASKS:
            item.answer()
        return True

    def sent(self, item):
        """A call was sent."""
        self._bytes += item.size

    def held(self):
        """Whether nothing may begin behind the last one."""
        if not self.under_way:
            return False
        last = self.under_way[-1]
        return (self._broken or last.alone or last.last or last.error is not None
                or self._bytes + len(self.under_way) * self._result > MOST_BYTES)

    def end(self):
        """Give up what is still under way: it has been begun in vain."""
        self.ended = True
        for item in self.under_way:
            if item.state == SENT:
                self._client.cancel(item.sent, 'it is not wanted any more')
        for item in self.under_way:
            if item.state in (SENT, ASKS, HELD) and not self._lost:
                item.abandon()
        self.under_way.clear()


def place(directory):
    """A directory of the controller's, as an agent can tell whether it is on its machine, too: its path and inode."""
    path = os.path.realpath(to_bytes(directory, errors='surrogate_or_strict'))
    return [path.decode('utf-8', 'surrogateescape'), os.stat(path).st_ino]


def item():
    """What this thread runs that was begun ahead, or None."""
    return getattr(_here, 'item', None)


class _Nobody(object):
    """Whoever is not heard."""

    flight = None
    lead = False

    def __init__(self):
        self.words = []


@contextlib.contextmanager
def silence():
    """While this lasts, nothing that this thread says is shown."""
    _here.item = _Nobody()
    try:
        yield
    finally:
        _here.item = None


def in_turn():
    """Wait until nothing is ahead of what this thread runs, for what goes by no call of ours."""
    found = item()
    if found is not None and found.flight is not None:
        found.wait()


def within(loop):
    """This thread runs a loop, until it is another one's; returns whose it was before."""
    before = getattr(_here, 'loop', None)
    _here.loop = loop
    return before


def send(op, context, kwargs, last):
    """The result of a call that is sent ahead, or None if it is to be made as ever; last: as far as one can tell, the task makes no other one."""
    found = item()
    if found is None or kwargs.get('noreply') or kwargs.get('timeout_ms'):
        return None
    return found.send(op, context, kwargs.get('meta') or {}, kwargs.get('parts') or (), kwargs.get('closure'), last)


def answered(op, context, kwargs, result):
    """A call was made as ever."""
    found = item()
    flight = found.flight if found is not None else getattr(_here, 'loop', None)
    if flight is not None:
        flight.answered(op, context, kwargs, result)


def has_changed():
    """Whether what this thread runs was run once before, with files that have changed since, and has changed something then."""
    found = item()
    return bool(found is not None and found.flight is not None and found.changed)


def contexts():
    """The contexts that are known to whatever this thread's task was begun with, by their hops; or None."""
    found = item()
    return found.flight.contexts if found is not None else None


def _later(name, original):
    """A method of Display that an item's words wait in until its turn."""
    def say(*args, **kwargs):
        found = item()
        if found is None or found.lead or name == 'deprecated' and (kwargs.get('removed') or args[2:3] and args[2]):  # which raises
            return original(*args, **kwargs)
        found.words.append((original, args, kwargs))
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


def keep_words():
    """Have what is begun ahead say in its turn what it says."""
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
