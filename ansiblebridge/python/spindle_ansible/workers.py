"""One process for a task of several hosts.

Ansible's own queueing makes a worker for each host, and finds a Member here in its place: a worker that is not forked
yet, and holds one of the places that there are (forks, throttle) for as long as its host is at work. What has come
together is forked as one process, the Carrier, in which each host has a thread and runs what it would run in a worker of
its own. A thread blocks where a worker would: in the multiplexer.

A worker forks to be alone with what it changes. Threads are not, so this is where each thing is looked after that Ansible's
code changes and that they would share. docs/decisions/0016 has the list.
"""
import contextlib
import contextvars
import functools
import io
import os
import sys
import threading
import time
import traceback

from ansible.executor.process.worker import WorkerProcess
from ansible.plugins import loader as plugin_loader
from ansible.plugins import strategy as stock_strategy

from spindle_ansible import closure as closure_mod
from spindle_ansible import compat
from spindle_ansible import fallback
from spindle_ansible import log
from spindle_ansible import openers
from spindle_ansible import prewarm
from spindle_ansible import runtime
from spindle_ansible import waiting

# Whether Ansible's queueing can be given workers of ours.
POSSIBLE = getattr(stock_strategy, 'WorkerProcess', None) is WorkerProcess

# One process takes so many hosts at most: while it works on the first ones, their strategy looks after the next.
MOST = 24
# How long a few hosts wait for others to share a process with, where all places are taken.
PATIENCE_SECONDS = 0.01
# How often it is looked whether a host is done: Ansible asks all the time, for each of them.
LOOK_SECONDS = 0.0005
# A host's thread waits until the one before it waits for its target, or has ended: as long as that one gets on, which is looked at so often, and no longer
# than this.
START_SECONDS = 0.02
START_SECONDS_MOST = 1

_TaskContext = compat.optional('ansible._internal._task', 'TaskContext')
_LOADERS = [kind for kind in vars(plugin_loader).values()
            if isinstance(kind, type) and issubclass(kind, plugin_loader.PluginLoader)]


class Member(WorkerProcess):
    """A worker as Ansible knows it: alone in its process, or one of several there."""

    _carrier = None
    _alone = False
    _dropped = False

    def __init__(self, crew, *args, **kwargs):
        super(Member, self).__init__(*args, **kwargs)
        self.made_with = args, kwargs
        self._crew = crew

    def start(self):
        """Wait for others to come."""
        self._crew.add(self)

    def start_alone(self):
        """Be an ordinary worker."""
        self._alone = True
        super(Member, self).start()

    def start_in(self, carrier):
        """Share that process."""
        self._carrier = carrier

    def drop(self):
        """Do not run at all any more."""
        self._dropped = True

    def is_alive(self):
        """Whether this place is taken."""
        if self._alone:
            return super(Member, self).is_alive()
        if self._carrier is not None:
            return self._carrier.is_busy(self)
        if self._dropped:
            return False
        self._crew.asked()
        return True

    @property
    def exitcode(self):
        """None, or how the process ended; not 0 if it did not do its work."""
        if self._alone:
            return super(Member, self).exitcode
        return self._carrier.failure() if self._carrier is not None else None

    @property
    def sentinel(self):
        """What becomes readable when this place may be free; ValueError while there is nothing to wait for."""
        if self._alone:
            return super(Member, self).sentinel
        if self._carrier is None:
            raise ValueError('not forked yet')
        return self._carrier.words()

    @property
    def pid(self):
        """The process."""
        if self._alone:
            return super(Member, self).pid
        return self._carrier.pid if self._carrier is not None else None

    ident = pid

    def terminate(self):
        """End the process, and the others' work with it."""
        self._process('terminate')

    def kill(self):
        """End it at once."""
        self._process('kill')

    def join(self, timeout=None):
        """Wait for the process."""
        self._process('join', timeout)

    def close(self):
        """Forget the process, unless others need it."""
        if self._alone:
            super(Member, self).close()

    def _process(self, method, *args):
        if self._alone:
            getattr(super(Member, self), method)(*args)
        elif self._carrier is not None:
            getattr(self._carrier, method)(*args)

    def settle(self, carrier):
        """In the carrier: have for oneself what running a task changes."""
        task = self._task.copy(exclude_parent=True, exclude_tasks=True)
        task._parent = self._task._parent
        if getattr(task, 'loop_control', None) is not None:
            task.loop_control = task.loop_control.copy()
        self._task = task
        host = object.__new__(type(self._host))  # it is emptied at the end, and others look variables up in theirs
        host.__dict__.update(self._host.__dict__)
        self._host = host
        facts = self._task_vars.get('ansible_facts')
        if isinstance(facts, dict):  # what is discovered is noted there, and a play may have given all hosts the same ones
            self._task_vars['ansible_facts'] = facts.copy()
        self._play_context = self._play_context.copy()
        if hasattr(carrier, '_new_stdin'):
            self._new_stdin = carrier._new_stdin

    def context(self):
        """What must surround _run in releases where that asks for the task of its thread."""
        if _TaskContext is None:
            return contextlib.suppress()
        if hasattr(_TaskContext, 'create'):
            made = _TaskContext.create(task=self._task, task_vars=self._task_vars, host_name=self._host.name)
            compat.tell_secrets(made)
            return made
        return _TaskContext(self._task)

    def work(self):
        """Run the task as a worker would, in this thread."""
        _of_host.set({})
        with self.context():
            WorkerProcess._run(self)

    def _clean_up(self):
        """Temporary files belong to any of the threads: they are removed when all are done."""
        if self._alone:
            super(Member, self)._clean_up()


def _give_way(thread, goes):
    """Wait until a thread says that it goes on by itself, or seems to wait for something else than its target."""
    spent, limit = 0, time.monotonic() + START_SECONDS_MOST
    while not goes.wait(START_SECONDS) and thread.is_alive() and time.monotonic() < limit:
        try:
            now = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
            with open('/proc/self/task/%d/stat' % thread.native_id) as f:
                runs = f.read().rpartition(')')[2].split()[0] == 'R'
        except (OSError, AttributeError):  # it has ended, or this cannot be told here
            return
        if now == spent and not runs:
            return
        spent = now


class Carrier(WorkerProcess):
    """The process that members share. It says on a pipe which of them is done."""

    def __init__(self, members):
        args, kwargs = members[0].made_with
        super(Carrier, self).__init__(*args, **kwargs)
        self._members = members
        self._busy = dict((member, number) for number, member in enumerate(members))
        self._done, self._tell = os.pipe()
        os.set_blocking(self._done, False)
        self._looked = 0
        self._code = None

    def start(self):
        """Fork."""
        try:
            super(Carrier, self).start()
        finally:
            os.close(self._tell)
        for member in self._members:
            member.start_in(self)

    def is_busy(self, member):
        """Whether a member's host is still at work."""
        self._look()
        return member in self._busy

    def words(self):
        """The pipe's end; ValueError when it was closed."""
        if self._done is None:
            raise ValueError('it has ended')
        return self._done

    def failure(self):
        """How it ended, if not well: as an exit status that is not 0."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look()
            self._code = self.exitcode
        if self._code == 0 and self._busy and self._done is None:
            return 1
        return self._code or None

    def _look(self):
        """See who is done, unless that was just looked for."""
        now = time.monotonic()
        if self._done is None or now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        self._take()

    def _take(self):
        """See what it tells."""
        try:
            done = os.read(self._done, len(self._members))
        except BlockingIOError:
            return
        for number in done:
            self._busy.pop(self._members[number], None)
        if not done or not self._busy:
            self._hear_no_more()
            self._members = ()  # nothing of the task is held longer than by its places

    def _hear_no_more(self):
        pipe, self._done = self._done, None
        os.close(pipe)

    # In the process itself

    def _run(self):
        os.close(self._done)
        _part_threads()
        compat.learn_secrets()
        self._loader._tempfiles = _Files(self._loader._tempfiles)
        self._work_on()
        self._loader.cleanup_all_tmp_files()

    def _work_on(self):
        threads, left = [], []
        last = len(self._members) - 1
        for number, member in enumerate(self._members[:last]):
            # One after the other, as workers are forked: what takes no time is done in the order of the hosts.
            goes = threading.Event()
            thread = threading.Thread(target=self._work, args=(number, member, goes.set), daemon=True)
            try:
                thread.start()
            except RuntimeError as e:  # so many are allowed, or there is no memory for its stack
                log.debug('no thread for a host: %s' % (e,))
                left.append((number, member))
            else:
                threads.append(thread)
                _give_way(thread, goes)
        for number, member in left + [(last, self._members[last])]:
            self._work(number, member)
        for thread in threads:
            thread.join()

    def _work(self, number, member, goes=None):
        try:
            member.settle(self)
            waiting.tell(goes)
            contextvars.Context().run(member.work)  # an empty one, as Ansible queues from
            runtime.hang_up()
            os.write(self._tell, bytes([number]))
            waiting.begins()
        except BaseException as e:  # what ends a worker, ends this one
            self._hard_exit(traceback.format_exc() if _TaskContext is not None else e)


class _Files(set):
    """A loader's temporary files. Some releases go over the set while they take from it, and others add to it meanwhile."""

    def __iter__(self):
        return iter(list(super(_Files, self).__iter__()))


# What one host's task has to itself, by who keeps it there. It is also in the threads of its loop's items, whose contexts are copies of the task's
# one, and in those that a plugin starts.
_of_host = contextvars.ContextVar('of_host')
_of_nobody = {}


def _own(keeper, make):
    kept = _of_host.get(_of_nobody)
    if keeper not in kept:
        kept[keeper] = make()
    return kept[keeper]


class _Said(object):
    """What was said already, for this host: each worker has a memory of its own of its warnings."""

    def __init__(self, before):
        self._before = frozenset(before)

    def __contains__(self, text):
        return text in self._before or text in _own(self, set)

    def __setitem__(self, text, _):
        _own(self, set).add(text)

    def add(self, text):
        """Remember it, as a set does."""
        _own(self, set).add(text)


class _Stream(object):
    """What was printed for one host."""

    def __getattr__(self, name):
        return getattr(_own(self, io.StringIO), name)


def _hand_on():
    """Have threads that a host's plugins start print and warn for that host. Nothing else is theirs in a worker, either."""
    start = threading.Thread.start

    @functools.wraps(start)
    def start_for_host(thread):
        kept, run = _of_host.get(_of_nobody), thread.run

        def run_for_host():
            _of_host.set(kept)
            run()
        if kept is not _of_nobody:
            thread.run = run_for_host
        start(thread)
    threading.Thread.start = start_for_host


def _part_threads():
    """Let threads find apart what processes would."""
    lock = getattr(log.display, '_lock', None)
    if lock is not None and lock._is_owned():
        lock.release()  # held over the fork, by this thread: it never comes back to where it is let go
    for name in ('_deprecations', '_warns', '_errors'):
        before = getattr(log.display, name, None)
        if isinstance(before, dict):  # in later releases only the parent remembers
            setattr(log.display, name, _Said(before))
    for name in ('stdout', 'stderr'):
        if isinstance(getattr(sys, name), io.StringIO):  # releases that catch what is printed
            setattr(sys, name, _Stream())
    _hand_on()
    openers.part()
    # A plugin is in sys.modules before it was run, and a directory's plugins are not noted in one go.
    lock = threading.RLock()
    for kind in _LOADERS:
        for name in ('find_plugin_with_context', '_load_module_source', 'get_with_context', 'all'):
            if name in vars(kind) and not (name == 'get_with_context' and kind is plugin_loader.PluginLoader):
                setattr(kind, name, _in_turn(lock, vars(kind)[name], name == 'all'))


def _in_turn(lock, function, listed):
    @functools.wraps(function)
    def call(*args, **kwargs):
        with lock:
            found = function(*args, **kwargs)
            return iter(list(found)) if listed else found
    return call


class Crew(object):
    """The members of now that are not forked yet."""

    def __init__(self, places, sequences=None, most=MOST):
        self._places = places
        self._sequences = sequences
        self._most = most
        self._waiting = []
        self._missing = []
        self._since = 0
        self._queueing = False

    @contextlib.contextmanager
    def queueing(self):
        """While this lasts, Ansible makes members where it makes workers."""
        stock_strategy.WorkerProcess = functools.partial(Member, self)
        self._queueing = True
        try:
            yield
        finally:
            self._queueing = False
            stock_strategy.WorkerProcess = WorkerProcess
        if len(self._waiting) >= self._most:
            self.start()

    def lacks(self, modules, variables):
        """There are modules to put together, once what needs them was forked."""
        if modules and all(modules != other for other, _ in self._missing):  # most hosts need the same
            self._missing.append((modules, variables))

    def add(self, member):
        """A member was queued."""
        if self._sequences is not None and self._sequences.take(member):
            return
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(member)

    def expects(self, host, task):
        """Whether a task of a host runs already."""
        return self._sequences is not None and self._sequences.expects(host, task)

    def asked(self):
        """The place of a waiting member is needed for another one: there are no more places, or soon."""
        if self._queueing and (len(self._waiting) * 2 >= self._places
                               or time.monotonic() - self._since > PATIENCE_SECONDS):
            self.start()

    def start(self):
        """Fork what is waiting."""
        waiting, self._waiting = self._waiting, []
        missing, self._missing = self._missing, []
        if not waiting:
            return
        if fallback.why() is not None:  # since they have come here, and none of them is to lead anywhere else now
            for member in waiting:
                member._task_vars = fallback.guarded(member._task, member._task_vars)
        # What needs the modules connects while they are put together here.
        promise = closure_mod.Promise() if missing else None
        try:
            if len(waiting) == 1:
                if missing or self._sequences is None or not self._sequences.start(waiting[0]):
                    waiting[0].start_alone()
            else:
                Carrier(waiting).start()
        finally:
            if promise is not None:
                try:
                    for modules, variables in missing:
                        if not prewarm.put_together(modules, variables):  # it is of no use any more
                            break
                finally:
                    promise.keep()

    def drop(self):
        """What waits is not to run any more."""
        waiting, self._waiting = self._waiting, []
        for member in waiting:
            member.drop()
        if self._sequences is not None:
            self._sequences.end()

    def alone(self, host):
        """A host's task has a worker of its own: nothing that was begun ahead comes next."""
        if self._sequences is not None:
            self._sequences.drop(host.name)
