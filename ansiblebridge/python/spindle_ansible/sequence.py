"""One process for tasks of a host that follow each other, begun ahead.

A worker that runs a task knows what comes next, if the task goes well: the iterator is forked with it. If the next
task does not look at its result (independence.py), the worker begins that as well, by Ansible's own code in a thread
of its own, sends its call, and so on (flight.py). The agent begins a call only when the one before it has plainly done
its work.

The main process is asked nothing and told little: ahead of each result, which task is under way behind it. When it has
looked at the result, as it does for any other, and queues that very task, it finds a worker for it that runs already, and
says so to the worker, which hands on the result. Whatever else it does, what was begun behind is given up, and it forks
as ever. docs/decisions/0026 says why this shows in no result.
"""
import contextvars
import json
import os

from ansible import constants as C

from spindle_ansible import client as client_mod
from spindle_ansible import closure as closure_mod
from spindle_ansible import flight
from spindle_ansible import independence
from spindle_ansible import log
from spindle_ansible import methods
from spindle_ansible import runtime
from spindle_ansible import settings
from spindle_ansible import waiting
from spindle_ansible import wire
from spindle_ansible import workers

# So many tasks may be begun before the first of them has ended: whoever interrupts a play does not want much more to have happened than is shown.
MOST_TASKS = 8
# How often a process that waits looks whether its parent is there.
LOOK_SECONDS = 1


class Sequence(workers.Carrier):
    """The process. Its parent tells it on a pipe that it wants the next task's result."""

    def __init__(self, member, following):
        super(Sequence, self).__init__([member])
        self._model = member
        self._following = following
        self._asked, self._ask = os.pipe()
        self._parent = os.getpid()
        self._number = 1
        self._rest = b''
        self._next = None  # the task that is under way behind the last result

    # In the parent.

    def start(self):
        """Fork."""
        try:
            super(Sequence, self).start()
        finally:
            os.close(self._asked)

    def expects(self, task):
        """Whether a task runs here already."""
        self._looked = 0
        self._look()
        return self._ask is not None and self._next == str(task._uuid)

    def adopt(self, member):
        """Let a member be the task that is under way."""
        self._next = None
        self._busy[member] = self._number
        self._number += 1
        member.start_in(self)
        try:
            os.write(self._ask, b'n')
        except OSError:  # it has ended, which is found out
            pass

    def drop(self):
        """Nothing that follows is wanted."""
        if self._ask is not None:
            os.close(self._ask)
            self._ask = None
        self._close_if_over()

    def _close_if_over(self):
        if self._ask is None and not self._busy and self._done is not None:  # nobody may come by when it has ended
            self._hear_no_more()

    def _take(self):
        """See what it tells: that a task is done, or which follows."""
        try:
            data = os.read(self._done, 4096)
        except BlockingIOError:
            return
        lines = (self._rest + data).split(b'\n')
        self._rest = lines.pop()
        for line in lines:
            if line[:1] == b'd':
                number = int(line[1:])
                self._busy = dict((m, n) for m, n in self._busy.items() if n != number)
            else:
                self._next = line[1:].decode('ascii') or None
        if not data:
            self._hear_no_more()
        self._close_if_over()

    # In the process itself.

    def tell(self, kind, words):
        """Tell the parent: d, a number: that task is done. f, a name: that one follows, or none."""
        os.write(self._tell, kind + words.encode('ascii') + b'\n')

    def asked(self):
        """Wait until the parent wants the next result; False if it does not."""
        while not waiting.readable(self._asked, LOOK_SECONDS):
            if os.getppid() != self._parent:
                return False
        return bool(os.read(self._asked, 1))

    def member(self, task, variables):
        """A worker for a task, as the parent would make it."""
        made = object.__new__(type(self._model))
        made.__dict__.update(self._model.__dict__)
        if task is not None:
            made._task, made._task_vars = task, variables
        return made

    def _run(self):
        os.close(self._ask)
        super(Sequence, self)._run()

    def _work_on(self):
        flight.keep_words()
        if not Tasks(self, self._following).run():  # there is no thread: in this one, then, and nothing follows
            self._members[0].settle(self)
            contextvars.Context().run(self._members[0].work)
            self.tell(b'd', '0')


class Tasks(flight.Flight):
    """The tasks that are under way in a process."""

    strict = True

    def __init__(self, process, following):
        super(Tasks, self).__init__()
        self.contexts = {}
        self._process = process
        self._following = following
        self.beside = following.place
        self._context = None  # that all links go to
        self._prepared = None  # what comes next, and is not begun yet

    def run(self):
        """Run them in order, and hand their results on when they are asked for; False where not even the first has a thread."""
        try:
            self._client = runtime.client()
        except (client_mod.ClientError, OSError) as e:  # the task will meet it again
            log.debug('no session: %s' % (e,))
        number = 0
        try:
            if not self.lead(self._item(None)):
                return False
            while self.under_way:
                if number:
                    self._fill()
                    if not self._process.asked():
                        break
                self._first()
                self._process.tell(b'd', str(number))
                number += 1
            return True
        finally:
            self.end()

    def takes(self, op, context, closure):
        """Whether such a call can be sent ahead: of code that the multiplexer has, to the account that the others go to."""
        return (op in ('module', 'composite') and not self._broken and self._client is not None and self._client.alive
                and self._context in (None, context) and closure_mod.holds(closure))

    def link(self, op, context, meta, parts, closure):
        """Send a call as the next link of the chain."""
        sent = super(Tasks, self).link(op, context, meta, parts, closure)
        self._context = context
        return sent

    def well(self, item, result):
        """Whether the agent goes on behind it."""
        item.well = super(Tasks, self).well(item, result) and (item.op == 'composite' or not result.rc and _plainly(result.out))
        return item.well

    def announce(self, item):
        """The first one's result is about to be sent: say what follows."""
        following = None
        behind = self.under_way[1] if len(self.under_way) > 1 else None
        goes_on = item.well or item.skipped
        if goes_on:
            if behind is None and self._prepared is None:
                self._prepare()
            if behind is None and self._prepared is not None:
                self._begin_prepared()  # what there is against it is found on the way
                behind = self.under_way[1] if len(self.under_way) > 1 else None
        if behind is not None:
            fits = behind.fits()
            if goes_on and fits:
                following = behind
            elif behind.state == flight.SENT and not self._refused(behind):
                # The agent has seen it otherwise, or has copied a file as it was: what it has changed is not to be lost.
                following, behind.stale = behind, not fits
        if following is None:
            if goes_on:
                why = 'what comes next cannot be begun here'
            else:
                why = 'it has not plainly done its work' if item.sent is not None else 'its call was not sent ahead'
            log.debug('nothing follows %s in its worker: %s' % (item._member._task, why))
            self._prepared = None
            self.end_behind()
        self._process.tell(b'f', following.name if following is not None else '')

    def end_behind(self):
        """Give up all but the first, which ends by itself."""
        first = self.under_way.popleft()
        self.end()
        self.ended = False
        self._broken = True
        self.under_way.append(first)

    def _refused(self, item):
        """Whether a link was not begun. It is known soon, as the one before it has ended."""
        try:
            item.early = self._client.finish(item.sent)
        except client_mod.ClientError:
            return True
        return item.early.status == wire.STALE and bool(item.early.errno)

    def result_of(self, item):
        """Wait for a link's end, which may have been looked at."""
        return item.early or super(Tasks, self).result_of(item)

    def _first(self):
        """See the first one to its end."""
        item = self.under_way[0]
        item.first = True
        while item.state != flight.DONE:
            if item.state == flight.SENT:
                if item.early is None:
                    self._fill()
                self.finish(item)
            elif item.state == flight.HELD:
                item.resume()
            else:
                item.answer()
        if isinstance(item.error, flight.Again):
            # What it would have seen in its turn may be something else: it is run as if nothing had been sent for it.
            before = item
            item = self.under_way[0] = self._item(self._following.again(item.made_of))
            item.alone = item.first = True
            item.changed = before.changed
            item.start()
            return self._first()
        self.under_way.popleft()
        if item.error is not None:
            raise item.error

    def _item(self, made_of):
        task, variables, scan = made_of or (None, None, None)
        return _Task(self, self._process.member(task, variables), scan, made_of)

    def _prepare(self):
        """Know what comes next."""
        found = self._following.next()
        self._prepared = self._item(found) if found is not None else None

    def _begin_prepared(self):
        item, self._prepared = self._prepared, None
        if not self.begin(item):
            self._following.end()  # it is behind that one already

    def _fill(self):
        """Begin what comes next, for as long as the first one is not answered."""
        while len(self.under_way) < MOST_TASKS and not self.held():
            if self._prepared is None:
                self._prepare()
            if self._prepared is None or self._answered():
                return
            self._begin_prepared()

    def held(self):
        """Whether nothing may begin behind the last one."""
        return (self._broken or bool(self.under_way) and self.under_way[-1].state not in (flight.SENT, flight.HELD)
                or super(Tasks, self).held())

    def _answered(self):
        first = self.under_way[0]
        return first.state == flight.SENT and self._client.arrived(first.sent)


class _Task(flight.Item):
    """A task that is under way."""

    def __init__(self, tasks, member, scan, made_of):
        flight.Item.__init__(self, tasks, self, scan, {})
        self.name = str(member._task._uuid)
        self.well = False  # it has made its call, and what is behind it may begin
        self.skipped = False
        self.early = None  # its call's result, if that was looked at early
        self.made_of = made_of
        self._member = member

    def run(self):
        """Do what a worker does."""
        member = self._member
        member.settle(self.flight._process)
        member._final_q = _Gate(member._final_q, self)
        contextvars.Context().run(member.work)  # an empty one, as Ansible queues from

    def fits(self):
        """Whether this is what the task would be if it began now.

        What has sent nothing may look at what those ahead have found, or be in need of a process that holds nothing of theirs: no account is
        in use by a task that has ended.
        """
        return self.state == flight.HELD or self.state == flight.SENT and (self.check is None or self.check())

    def deliver(self, skipped, bad):
        """The result is about to be sent, which the main process has to ask for."""
        if bad:
            self.well = False  # whatever its call has come to
        if skipped and (self.flight.apart or not self.flight.beside):
            self.hold()
        self.wait()
        self.tell()
        self.skipped = skipped
        self.turn(lambda: self.flight.announce(self))


class _Gate(object):
    """The queue of results, for a task whose result nobody waits for yet."""

    def __init__(self, queue, item):
        self._queue = queue
        self._item = item

    def put(self, result, *args, **kwargs):
        """As in releases up to 2.10."""
        self._item.deliver(_is(result, 'skipped'), _is(result, 'failed') or _is(result, 'unreachable'))
        return self._queue.put(result, *args, **kwargs)

    def send_task_result(self, *args, **kwargs):
        """As in later ones."""
        self._item.deliver(any(_is(one, 'skipped') for one in args), any(_is(one, 'failed') or _is(one, 'unreachable') for one in args))
        return self._queue.send_task_result(*args, **kwargs)

    def __getattr__(self, name):
        return getattr(self._queue, name)


def _is(result, what):
    """Whether what is sent as a result, in whatever form, is that of a task that was `skipped`, or is `failed` or `unreachable`."""
    for name in ('_result', '_return_data'):
        result = getattr(result, name, result)
    found = result.get(what) if isinstance(result, dict) else getattr(result, what, None)
    return found is True and not (what == 'skipped' and isinstance(result, dict) and result.get('failed'))


def _plainly(out):
    """Whether a module has done its work, and found nothing that other tasks could look at: as the agent decides it (job.py)."""
    try:
        answer = json.loads(out.decode('utf-8'))
        return b'\\ud' not in out.lower() and not (answer.get('failed') or answer.get('rc') or 'ansible_facts' in answer)
    except (ValueError, AttributeError, RecursionError):
        return False


class Following(object):
    """The tasks that come next for a host, for as long as they may be begun before the ones ahead of them have ended."""

    def __init__(self, strategy, iterator, host, leader):
        self._strategy = strategy
        self._iterator = iterator
        self._host = host
        self._last = leader
        self._registered = set()
        self._handlers = None
        self._over = False
        # Files of variables are read again for every task. On a target that has them, too, those ahead may change them.
        self.place = flight.place(strategy._loader.get_basedir()) if iterator._play.vars_files else None

    def next(self):
        """(task, variables, what to look at its files with), or None: no more."""
        if not self._over:
            try:
                with flight.silence():  # whatever there is to be said, the main process says it too
                    return self._find()
            except independence.Dependent as e:
                log.debug('nothing is begun behind %s: %s' % (self._last, e))
            except Exception as e:
                log.debug('nothing is begun behind %s: not understood: %r' % (self._last, e))
        self._over = True
        return None

    def end(self):
        """No more is wanted."""
        self._over = True

    def _find(self):
        before = self._last
        ran = getattr(before._role, '_had_task_run', None)
        if ran is not None:
            ran[self._host.name] = True  # as the result will say: up to 2.10 the end of a role is seen by it, later there is a task of its own
        task = self._iterator.get_next_task_for_host(self._host)[1]
        if task is None or task._role is not before._role or getattr(task, 'implicit', False):
            raise independence.Dependent('something else comes')
        if task._role is not None and task._role.has_run(self._host):
            raise independence.Dependent('its role has run')
        self._registered |= independence.names(before)
        strategy, variables = self._strategy, self._variables(task)
        chosen = strategy._spindle_settings(task, variables)
        if strategy._spindle_alone(task, variables, chosen):
            raise independence.Dependent('it needs a worker of its own')
        if self.place and methods.connection(chosen[0]) == 'local':
            raise independence.Dependent('files of variables may be changed')
        if strategy._spindle_warmer.missing(task, variables):
            raise independence.Dependent('its code was not put together yet')
        python = settings.interpreter(variables, None)
        if python.auto and not python.discovered:
            raise independence.Dependent('its interpreter is not known')
        scan = independence.behind(task, variables, self._registered, self._iterator._play.vars_files)
        self._last = task
        try:
            independence.check_end(task, self.handlers())
        except independence.Dependent:
            self._over = True  # it is the last
        return task, variables, scan

    def again(self, made_of):
        """The same for a task that was not begun, since its target may have changed what it is made of."""
        task, variables, scan = made_of
        if self.place:
            try:
                with flight.silence():
                    variables = self._variables(task)
            except Exception as e:  # the main process has met it, too
                log.debug('%s has the variables of before: %r' % (task, e))
        return task, variables, scan

    def _variables(self, task):
        strategy, play = self._strategy, self._iterator._play
        variables = strategy._variable_manager.get_vars(
            play=play, host=self._host, task=task, _hosts=strategy._hosts_cache, _hosts_all=strategy._hosts_cache_all)
        strategy.add_tqm_variables(variables, play=play)
        return variables

    def handlers(self):
        """The names that tasks can notify, where those are plain."""
        if self._handlers is None:
            self._handlers = handlers(self._iterator._play)
        return self._handlers


def handlers(play):
    """The names of a play's handlers, and the topics that they listen to."""
    found = set()
    for block in play.handlers:
        for handler in block.block:
            found.update(str(name) for name in (handler.name,) + independence.listed(handler.listen) if name and '{' not in str(name))
    return found


class Sequences(object):
    """The processes of a strategy, by host."""

    def __init__(self, strategy, iterator):
        self._strategy = strategy
        self._iterator = iterator
        self._running = {}

    def expects(self, host, task):
        """Whether a host's task runs already."""
        found = self._running.get(host.name)
        return found is not None and found.expects(task)

    def take(self, member):
        """Let a process have a member that it runs already; whether there is one."""
        name = member._host.name
        if self.expects(member._host, member._task):
            self._running[name].adopt(member)
            return True
        self.drop(name)
        return False

    def start(self, member):
        """Fork a member so that it can go on with what follows; whether that is possible."""
        host, task = member._host, member._task
        try:
            following = Following(self._strategy, self._iterator, host, task)
            if len(self._strategy.get_hosts_left(self._iterator)) != 1:
                raise independence.Dependent('others have to keep pace')
            if list(C.VARIABLE_PLUGINS_ENABLED) not in ([], ['host_group_vars']):
                raise independence.Dependent('plugins for variables are asked for every task')
            independence.ahead(task, member._task_vars, following.handlers())
        except independence.Dependent as e:
            log.debug('%s is alone: %s' % (task, e))
            return False
        except Exception as e:
            log.debug('%s is alone: not understood: %r' % (task, e))
            return False
        self.drop(host.name)
        found = self._running[host.name] = Sequence(member, following)
        found.start()
        return True

    def drop(self, name):
        """Give up what is under way behind a host's last task."""
        found = self._running.pop(name, None)
        if found is not None:
            found.drop()

    def end(self):
        """Give up all."""
        for name in list(self._running):
            self.drop(name)
