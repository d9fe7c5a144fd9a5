"""One connection's dealings with the multiplexer.

A session belongs to a connection plugin object, so to one task of one host; loop
items share it. It knows which settings it was connected with, holds the contexts
that the multiplexer named, and makes the calls.
"""
import copy
import itertools
import os
import re
import time

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleModuleError

from spindle_ansible import flight
from spindle_ansible import client as client_mod
from spindle_ansible import compat
from spindle_ansible import files
from spindle_ansible import hops
from spindle_ansible import log
from spindle_ansible import runtime
from spindle_ansible import settings
from spindle_ansible import sources
from spindle_ansible import texts
from spindle_ansible import via
from spindle_ansible import wire

# What the multiplexer gets on top of the hops' own time limits, and we on top of that.
GRACE_SECONDS = 5
# How long the multiplexer may take to answer, beyond what it may wait for.
ANSWER_SECONDS = 30

# The longest pause before another attempt to connect; the first ones are shorter.
RETRY_SECONDS_MAX = 30


# How often a call is made anew because the account's login has changed meanwhile.
RENEWALS = 3

# Calls that can ask the agent whether another login would be another one now.
_ASKING = ('exec', 'files', 'module', 'composite')

# That a directory for temporary files could not be made.
_TEMP_FAILED = re.compile(r'mkdir .*/%s[0-9a-f]{16}(-tmp-)?: ' % texts.TEMP_PREFIX)

_numbers = itertools.count(1)


class Refused(AnsibleModuleError):
    """The program that becomes somebody has ended. To Ansible that is what a task's command has printed and ended with, and no error of a connection."""

    def __init__(self, text, rc):
        super(Refused, self).__init__(text)
        self.text = text
        self.rc = rc if rc > 0 else 1

    @property
    def said(self):
        """What the program has printed."""
        return self.text.partition(texts.EOF)[2] or self.text


class Context(object):
    """An account that calls can be made to."""

    __slots__ = ('name', 'hello')

    def __init__(self, name, hello):
        self.name = name
        self.hello = hello or {}

    @property
    def bare(self):
        """Whether there is no agent, but only a way to run commands."""
        return bool(self.hello.get('bare'))


class Session(object):
    """The state behind a connection plugin object."""

    def __init__(self, connection):
        self.connection = connection
        self.variables = {}
        self.hostvars = None
        self.templar = None
        self._own = None
        self.basedir = None
        self.delegate_to = None
        self.depth = 0  # actions may run others
        self.no_tty = False
        self.queue = files.Queue()
        self.target = None
        self.login = None
        self.python = None
        self._key = None
        self._client = None
        self._fresh = False
        self._entered = None
        self._pinned = None
        self._number = next(_numbers)
        self._used = set()  # contexts that this task has called
        self.gone = None  # a temporary directory that a call has removed at its end, ahead of being asked to
        self.lent = False  # whether an action runs that removes such a directory itself, whatever those do that it runs

    @property
    def connected(self):
        """Whether contexts are known that nothing speaks against."""
        return self.target is not None

    def twin(self, connection):
        """The session of another object of the same connection: with the same contexts, and nothing done in them."""
        twin = copy.copy(self)
        twin.connection = connection
        twin.queue = files.Queue()
        twin.depth = 0
        twin.gone = None
        twin.lent = twin.no_tty = False
        twin._used = set()
        return twin

    def begin(self, variables, hostvars, templar, basedir, own=None):
        """A task, or a loop's next item, begins: what it set may differ from the last one's.

        templar knows these variables. own is the task's, if that is another one: Ansible has it template the interpreter.
        """
        self.variables = variables
        self.hostvars = hostvars
        self.templar = templar
        self._own = own or templar
        self.basedir = basedir
        self._fresh = False
        self._used = set()

    def _settle(self):
        """Know a task's settings. A connection that other plugins have made has those of the task that they run for."""
        if self.basedir is None:
            action = runtime.task()
            if action is None:
                raise AnsibleError(texts.NO_TASK_VARS)
            action.spindle_lend(self)

    def source(self):
        """Where settings come from now."""
        self._settle()
        return sources.Target(self.connection, self.variables, self.templar, self.delegate_to)

    def way(self, become=True):
        """The hops that lead to the account, as the settings of now say."""
        return via.way(self.source(), self.interpreter(), self.connection._shell, self.hostvars, become)

    def interpreter(self):
        """The Python setting that is in force now."""
        self._settle()
        if self.python is None or not self._fresh:
            self.python = settings.interpreter(self.variables, self._own)
        return self.python

    def ensure(self, bare=False):
        """Be connected as the settings of now say; bare: an account without Python will do."""
        if self.target is not None and (not self._client.alive or self.target.bare and not bare):
            self.forget()  # the multiplexer knows contexts by the socket that they were asked for on
        if self._fresh and self.target is not None:
            return
        python = self.interpreter()
        way = self.way()
        key = client_mod.encode_meta({'hops': way})
        if self.target is None or key != self._key:
            self.forget()
            if not self._take_over(key):
                self._connect(way, bare)
                self._hand_on(key)
            self._key = key
        if python.auto and python.discovered and not self.target.bare:
            self.pin(python.discovered, way, bare)
        self._fresh = True

    def pin(self, interpreter, way=None, bare=False):
        """Make the agents run in this interpreter. Usually they do already: discovery found the same."""
        way = way or self.way()
        own, contexts = [way[-1]], [self.target]
        if way[-1].get('become'):
            own, contexts = way[-2:], [self.login, self.target]
        stray = [hop for hop, context in zip(own, contexts) if context.hello.get('python') != interpreter]
        if not stray or self._pinned == (interpreter, self.target.name):
            return
        log.debug('changing over to %s' % interpreter, host=self.connection._play_context.remote_addr)
        for hop in stray:
            hop['python'] = [interpreter]
        self._connect(way, bare)
        self._pinned = interpreter, self.target.name  # by whatever path it calls itself

    def _connect(self, way, bare=False):
        seconds = hops.seconds(way) + GRACE_SECONDS
        for attempt in range(1 + self._retries()):
            if attempt:
                time.sleep(min(2 ** (attempt - 1), RETRY_SECONDS_MAX))
            meta = {'hops': way, 'holder': self._number}
            if bare:
                meta.update(bare=True, boot=True)
            result = self._exchange('connect', meta=meta, seconds=seconds + GRACE_SECONDS, patience=hops.patience(way))
            if result.status != wire.UNREACHABLE or _no_use(result.text, way):
                break
        if result.status != wire.OK:
            self._raise(result, connecting=True)
        reply = result.json()
        log.debug('%s by way of %s %s' % (reply.get('path'), reply.get('how'), reply.get('why') or ''),
                  host=self.connection._play_context.remote_addr)
        for line in reply.get('said') or ():
            log.display.vvv(line, host=self.connection._play_context.remote_addr)
        self._client = runtime.client()
        self.target = Context(reply['context'], reply.get('hello'))
        login = reply.get('login') or reply
        self.login = self.target
        if login['context'] != reply['context']:
            self.login = Context(login['context'], login.get('hello'))
        self._tell_user()

    def _take_over(self, key):
        """Be connected as another task of this process is, with the same hops."""
        client, target, login = (flight.contexts() or {}).get(key) or (None, None, None)
        if client is None or not client.alive:
            return False
        self._client, self.target, self.login = client, target, login
        self._tell_user()
        return True

    def _hand_on(self, key):
        """Let others take it over."""
        known = flight.contexts()
        if known is not None and not self.target.bare:
            known[key] = self._client, self.target, self.login

    def _tell_user(self):
        if self.connection.spindle_method == 'local':  # where action plugins look for who that is
            self.connection._play_context.remote_user = getattr(self.connection, 'default_user', None)

    def _retries(self):
        """How often an SSH connection is tried again, as ansible_ssh_retries says."""
        if self.connection.spindle_method != 'ssh':
            return 0
        found = settings.number(sources.option(self.connection, 'reconnection_retries', getattr(C, 'ANSIBLE_SSH_RETRIES', None)), 0)  # up to 2.10
        return found if isinstance(found, int) and found > 0 else 0

    def forget(self):
        """Hold no contexts. What was queued for them is lost with them."""
        self._let_go()
        self.queue.clear()

    def _let_go(self):
        """Hold no contexts, nor have another task of this process take them over."""
        if self.target is not None:
            (flight.contexts() or {}).clear()
        self.target = self.login = None
        self._fresh = False

    def is_bare(self):
        """Whether there is no Python where the task is to run, so that commands are all that can be done."""
        return self.context(bare=True).bare

    def context(self, sudoable=True, bare=False):
        """The account for a command: that of the task, or the login one."""
        self.ensure(bare)
        return self.target if sudoable else self.login

    def call(self, op, context, meta=None, parts=(), closure=b'', timeout_ms=0, check=True, last=True):
        """Make a call to a context, with what is queued riding in it; last: whether the task may make no other one."""
        meta = dict(meta or {})
        login = context is self.login and context is not self.target
        if self.queue and self.queue.context is not context:
            self.flush()
            context = self.login if login else self.target  # it may have been entered anew
        queued = self.queue
        if queued:
            meta['pre'] = list(queued.ops)
            parts = list(queued.contents) + list(parts)
        for _ in range(RENEWALS):
            # With a login ends what is below it, where this task may have made something.
            fresh = context.name not in self._used and not (login and self.target.name in self._used)
            if fresh and op in _ASKING:
                meta['fresh'] = True
            else:
                meta.pop('fresh', None)
            result = self._exchange(op, context=context.name, meta=meta, parts=parts, closure=closure,
                                    timeout_ms=timeout_ms, last=last)
            if result.status != wire.STALE or not fresh:
                break
            context = self._renew(context)
        self._used.add(context.name)
        if result.status != wire.UNKNOWN_CLOSURE:
            self.queue.clear()
        if check and result.status != wire.OK:
            self._raise(result)
        return result

    def _renew(self, context):
        """A new login in the place of one that has ended, or would be another one now. The task has done nothing in it yet."""
        login, bare = context is self.login and context is not self.target, context.bare
        log.debug('%s is entered anew' % context.name, host=self.connection._play_context.remote_addr)
        self._exchange('retire', context=context.name, seconds=ANSWER_SECONDS)
        self._let_go()
        self.ensure(bare)
        return self.login if login else self.target

    def retire(self, user):
        """End the idle agents of a user's account on this machine, or with no name all but root's."""
        way = self.way(become=False)
        self._exchange('retire', meta={'hops': way, 'user': user or ''}, seconds=hops.seconds(way) + ANSWER_SECONDS)

    def queue_op(self, op, content=None, context=None):
        """Let a file operation ride in the next call."""
        context = context or self.context()
        if self.queue and self.queue.context is not context:
            self.flush()
        if self.gone and op['path'].startswith(self.gone + '/'):
            self.bring_back(context)
        self.queue.add(context, op, content)

    def bring_back(self, context, first=False):
        """Make a temporary directory anew that is wanted again; first: ahead of what is queued."""
        path, self.gone = self.gone, None
        if path and first and self.queue:
            self.queue.ops.insert(0, files.mkdir(path, temp=True))
        elif path:
            self.queue_op(files.mkdir(path, temp=True), context=context)

    def flush(self):
        """Do now what is queued."""
        if not self.queue:
            return
        context = self.queue.context
        ops, contents = self.queue.ops, self.queue.contents
        self.queue.clear()
        self.call('files', context, meta={'ops': ops}, parts=contents)

    def run_ops(self, ops, context):
        """File operations whose results are wanted: those, or the error's text as second."""
        result = self.call('files', context, meta={'ops': ops}, check=False)
        if result.status == wire.ERROR:
            return None, result.text
        if result.status != wire.OK:
            self._raise(result)
        return result.json(), None

    def remove(self, path):
        """Remove a temporary tree without waiting for it."""
        if path == self.gone:
            self.gone = None
            return
        if self.queue.drop_below(path) or self.target is None:
            return
        try:
            self.flush()
            runtime.client().call('files', context=self.target.name, meta={'ops': [files.remove(path)]}, noreply=True)
        except (client_mod.ClientError, AnsibleError) as e:
            log.debug('not removed: %s: %s' % (path, e))

    def ticket(self, way):
        """A name for these hops, which the multiplexer keeps, for programs that are to know no passwords."""
        result = self._exchange('ticket', meta={'hops': way}, seconds=hops.seconds(way) + ANSWER_SECONDS)
        if result.status != wire.OK:
            self._raise(result)
        return str(result.json()['ticket'])

    def explained(self):
        """The hops and where their settings come from: (source, hop)."""
        return via.explained(self.source(), self.interpreter(), self.connection._shell, self.hostvars)

    def here(self):
        """Whether tasks run on the controller itself."""
        return self.connection.spindle_method == 'local' and not self.variables.get('mitogen_via')

    def absolute(self, path):
        """A path on the target as Ansible has it: over `local` those that are relative begin at the play book's directory."""
        if self.connection.spindle_method == 'local' and not path.startswith(('/', '~')):
            self._settle()
            if self.basedir and self.here():
                return os.path.join(compat.plain(self.basedir), path)
        return path

    def environment(self):
        """What a local task must see differently from the multiplexer that started its agent."""
        if not self.here():
            return None
        before = runtime.mux_environment()
        now = dict(os.environ)
        changes = dict((k, v) for k, v in now.items() if before.get(k) != v)
        changes.update((k, None) for k in before if k not in now)
        return changes or None

    def directory(self, context):
        """Where a local task runs; elsewhere it is the account's home, where the agent is."""
        if not self.here() or not self.basedir:
            return None
        basedir = compat.plain(self.basedir)
        if context is self.login or open_to_all(basedir):
            return basedir
        if self._entered is None or self._entered[:2] != (context, basedir):
            found = self.run_ops([{'op': 'exists', 'path': basedir + '/.'}], context)[0]
            self._entered = (context, basedir, bool(found and found[0]))
        return basedir if self._entered[2] else None

    def surroundings(self, context, extra=None):
        """The meta keys of a call that runs something."""
        meta = {}
        env = self.environment()
        if extra:
            env = dict(env or {}, **extra)
        if env:
            meta['env'] = env
        cwd = self.directory(context)
        if cwd:
            meta['cwd'] = cwd
        return meta

    def reset(self):
        """Stop the login account's agent and all that is below it. No connection: nothing to do; nor where there is no multiplexer any more."""
        way = self.way(become=False)
        found = self.interpreter().discovered
        try:
            if found:  # tasks may have changed over to an agent of its own, by another login; see pin
                pinned = way[:-1] + [dict(way[-1], python=[found])]
                self._exchange('reset', meta={'hops': pinned}, seconds=hops.seconds(way) + GRACE_SECONDS)
            self._reset(way)
        except AnsibleError as e:  # it would end the run
            self.forget()
            log.debug('nothing was reset: %s' % e)

    def _reset(self, way):
        if self.login is None:
            result = self._exchange('reset', meta={'hops': way}, seconds=hops.seconds(way) + GRACE_SECONDS)
            if result.status == wire.OK:
                return
            try:
                self._connect(way)
            except AnsibleError as e:
                log.debug('nothing to reset: %s' % e)
                return
        result = self._exchange('reset', context=self.login.name, meta={'hops': way}, seconds=hops.seconds(way) + 30)
        self.forget()
        if result.status not in (wire.OK, wire.UNREACHABLE):
            log.debug('reset: %s' % result.text)

    def _exchange(self, op, context='', seconds=None, last=True, **kwargs):
        """A call, with a multiplexer that cannot be spoken to as Ansible's error."""
        try:
            result = flight.send(op, context, kwargs, last)
            if result is not None:
                return result
        except client_mod.ClientError as e:
            self.forget()
            raise AnsibleConnectionFailure(texts.DISCONNECTED % (e,))
        try:
            client = runtime.client()
        except (client_mod.ClientError, OSError) as e:
            raise AnsibleError(texts.CANNOT_CONNECT % (e,))
        try:
            result = client.call(op, context=context, seconds=seconds, **kwargs)
            flight.answered(op, context, kwargs, result)
            return result
        except client_mod.ClientError as e:
            raise AnsibleConnectionFailure(texts.DISCONNECTED % (e,))
        finally:
            if not client.alive:
                self.forget()

    def _raise(self, result, connecting=False):
        """An answer other than OK as the exception that makes the task end as it should."""
        text = compat.plain(result.text)
        if result.status in (wire.UNREACHABLE, wire.STALE):
            self.forget()
            if not connecting and not text.startswith(texts.DISCONNECTED[:22]):
                text = texts.DISCONNECTED % (text or 'the respondent Context has disconnected')
            raise AnsibleConnectionFailure(text)
        if result.status == wire.FAILED:
            if connecting and not any(words in text for words in texts.ASKED_IN_VAIN):
                raise Refused(text, result.rc)
            raise AnsibleModuleError(text)
        if result.status == wire.ERROR:
            if _TEMP_FAILED.match(text):
                raise AnsibleConnectionFailure('%s %s' % (texts.NO_TEMP_MADE, text))
            raise AnsibleError(text)
        if result.status == wire.TIMEOUT:
            raise AnsibleError('timed out: %s' % text)
        self.forget()
        raise AnsibleError('spindle: %s (status %d)' % (text, result.status))


def _no_use(text, way):
    """Whether another attempt to connect by this way would come to the same."""
    if any(words in text for words in texts.NO_USE_TO_RETRY):
        return True
    return texts.NO_USE_WITH_A_PASSWORD in text and any(hop['method'] == 'ssh' and hop['kwargs'].get('password') for hop in way)


def open_to_all(path):
    """Whether any account may enter a directory, going by its mode and that of those above it."""
    try:
        while os.stat(path).st_mode & 0o001:
            above = os.path.dirname(path)
            if above == path:
                return True
            path = above
    except OSError:
        pass
    return False


def local_temp():
    """The directory for temporary files of this run on the controller."""
    return C.DEFAULT_LOCAL_TMP
