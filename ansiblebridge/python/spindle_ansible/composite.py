"""Copying a small file in one round trip: what an action will ask for next is sent along, to be done if it comes to that.

Ansible's copy looks at the destination, and then runs the copy module, if the content is
another one, or the file module. What it would run for either answer is found out by running
its own code, on a stand-in whose questions are answered here; nothing of its rules is
written down. All of it goes as one call, of which the agent does as much as the real answer
leads to. Then Ansible's code goes on with that answer, and where it asks for exactly what was sent
ahead, byte for byte, the result is here already.

decisions/0018 says which copies are eligible. All others make one call after another.
"""
import hashlib
import json
import os
import stat

import ansible
from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.module_utils.common.text.converters import to_bytes
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.hashing import checksum

from spindle_ansible import action_mixin
from spindle_ansible import closure as closure_mod
from spindle_ansible import compat
from spindle_ansible import copies
from spindle_ansible import entry
from spindle_ansible import files
from spindle_ansible import flight
from spindle_ansible import log
from spindle_ansible import methods
from spindle_ansible import runtime
from spindle_ansible import selfcheck
from spindle_ansible import texts
from spindle_ansible import wire

_OWN = os.path.join(os.path.dirname(os.path.abspath(ansible.__file__)), '')
_STAT = 'ansible.legacy.stat'
_FOLLOWING = ('ansible.legacy.copy', 'ansible.legacy.file')

# Whether it is known of this release's modules what they leave behind in their process.
_TIDY = entry.version() <= selfcheck.NEWEST

# Answers that the stat module may give: by name, what it says of the file, and the tests by which the agent knows it.
# A test is a key, whether its value is to be the same or another one, and the value; what is not there is ''.
ABSENT, SAME, OTHER = 'absent', 'same', 'other'

# A rehearsal in which nothing more was asked for.
ENDS = object()

_bundles = {}
_prepared = {}


class Mismatch(Exception):
    """Something else was asked for than what was done ahead."""


class _Asked(Exception):
    """The end of a rehearsal: the stand-in has asked for something that nobody can answer."""

    def __init__(self, kwargs=None):
        super(_Asked, self).__init__()
        self.kwargs = kwargs


def answers(digest):
    """The possible answers: name -> (what the module says of the file, tests)."""
    there = [['exists', True, True], ['isdir', True, False], ['islnk', True, False]]
    other = 'another one than %s' % digest
    return {
        ABSENT: ({'exists': False, 'checksum': '1'}, [['exists', True, False]]),
        SAME: ({'exists': True, 'isdir': False, 'islnk': False, 'checksum': digest}, there + [['checksum', True, digest]]),
        OTHER: ({'exists': True, 'isdir': False, 'islnk': False, 'checksum': other},
                there + [['checksum', False, digest], ['checksum', False, None]]),
    }


class Step(object):
    """One module to be run, with the file operations that go ahead of it."""

    def __init__(self, call, meta, ops, contents):
        self.call = call
        self.meta = meta
        self.ops = list(ops)
        # Reading a file may change when it was read last.
        self.asked = [dict((key, value) for key, value in op.items() if key != 'atime') for op in ops]
        self.contents = list(contents)

    def __eq__(self, other):
        return (self.call.closure.digest == other.call.closure.digest and self.call.name == other.call.name
                and self.call.arguments == other.call.arguments and self.meta == other.meta
                and self.asked == other.asked and self.contents == other.contents)

    def __ne__(self, other):
        return not self == other

    __hash__ = None


class Plan(object):
    """What is sent ahead while an action copies one file, and what came of it."""

    def __init__(self, action, attempt, source, private, task_vars):
        self._action = action
        self._rehearse = attempt
        self._source = source
        self._private = private  # nobody else has the source, so it is what it was
        self._task_vars = task_vars
        self._history = []  # what the real stat calls have found
        self._steps = []
        self._asked = []  # (module, arguments, file operations, contents) of the rehearsals, and the steps that they led to
        self._results = {}  # by index in steps, what is there and was not asked for yet
        self._done = None  # the step behind which the temporary directory was removed
        self._temp = None
        self.whole = False  # whether nothing follows the composite call, unless there is a directory, a link or trouble
        self.asking = False  # whether the call to come is a stat of the action's
        self.changed = False  # whether something was changed that the action will not hear of

    def found(self, status):
        """The action was told this by a stat call."""
        self._history.append(dict(status))

    def result(self, call, meta, context):
        """The result of a call that the action makes, or None if it has to be made."""
        session = self._action._connection.spindle
        queue = session.queue
        if self._results:
            index = min(self._results)
            result = self._results.pop(index)
            same = Step(call, meta, queue.ops, queue.contents) == self._steps[index] and (not queue or queue.context is context)
            if index == self._done:
                session.gone = self._temp
            if same:
                queue.clear()
                return result
            log.debug('what was sent ahead was not asked for: %s' % call.name)
            self._results.clear()
            if not self._private:
                self.changed = b'"changed": true' in result.out
                raise Mismatch()
            session.bring_back(context, first=True)
            return None
        if not self.asking or not eligible_module(call):
            return None
        self._steps = self._foresee(call, meta, context)
        if not self._steps:
            return None
        return self._send(context)

    # What comes next

    def _foresee(self, call, meta, context):
        """The steps: this call, and what the action will ask for by its answer."""
        try:
            digest = checksum(self._source)
        except Exception:
            return None
        known = answers(digest)
        steps, following = [Step(call, meta, (), ())], []
        self.whole = True
        self._asked = []
        for name in (ABSENT, OTHER, SAME):
            status, tests = known[name]
            step = self._rehearsed(status, meta, context)
            if step is ENDS:
                following.append([None, tests])
                continue
            if step is None:
                self.whole = False
                continue
            if step not in steps:
                steps.append(step)
            following.append([steps.index(step), tests])
        steps[0].meta = dict(meta, next=following)
        return steps if steps[1:] else None

    def _rehearsed(self, status, first, context):
        """What the action will ask for if this is what it finds: a step, ENDS for nothing, or None if one cannot tell."""
        action = self._action
        session = action._connection.spindle
        outer, session.queue = session.queue, files.Queue()
        try:
            asked = self._rehearse(self._history + [status])
            if asked is None or asked is ENDS:
                return asked
            name, args = asked
            queue = session.queue
            known = name, dict(args), queue.ops, queue.contents
            for before, step in self._asked:
                if before == known:
                    return step
            args = dict(args)
            action._update_module_args(name, args, self._task_vars)
            built = action._spindle_build(name, args, self._task_vars)
            if built is None:
                return None
            call = built[2] if isinstance(built, tuple) and not compat.HAS_BUILT_MODULE else built[0].b_module_data
            if not eligible_module(call):
                return None
            meta = dict(call.meta, **dict((key, first[key]) for key in ('env', 'cwd') if key in first))
            if queue and queue.context is not context:
                return None
            step = Step(call, meta, queue.ops, queue.contents)
            self._asked.append((known, step))
            return step
        finally:
            session.queue = outer

    # One call

    def _send(self, context):
        """Make the composite call; returns the first step's result."""
        session = self._action._connection.spindle
        meta = {}
        for key in ('env', 'cwd'):
            if key in self._steps[0].meta:
                meta[key] = self._steps[0].meta[key]
        meta['steps'], parts = [], []
        temp = self._temp = self._temporary()
        for step in self._steps:
            said = dict((k, v) for k, v in step.meta.items() if k not in ('env', 'cwd') and v)
            said['size'] = len(step.call.arguments)
            if step.ops:
                said['pre'] = step.ops
            if temp and meta['steps']:
                said['post'] = [files.remove(temp)]
            if _TIDY and step.call.closure.own:
                said['tidy'] = True
            meta['steps'].append(said)
            parts += step.contents + [step.call.arguments]
        for _ in range(2):
            result = session.call('composite', context, meta=meta, parts=parts, closure=bundle(self._steps), check=False, last=self.whole)
            if result.status != wire.UNKNOWN_CLOSURE:
                break
            self._register(meta)
        if result.status != wire.OK:
            session._raise(result)
        try:
            self._results, done = told(result)
            first = self._results.pop(0)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise AnsibleError('spindle: what the agent says of its steps makes no sense')
        self._done = done if temp and done > 0 else None
        del self._steps[0].meta['next']
        return first

    def _temporary(self):
        """The temporary directory, if it may go as soon as the last step is done."""
        path = self._action._connection._shell.tmpdir
        if path and (self._action._should_remove_tmp_path(path) or self._action._connection.spindle.lent):
            return path
        return None

    def _register(self, meta):
        """Tell the multiplexer of all closures at once, and by the right names: a recalled one may have changed."""
        full = [closure_mod.complete(s.call.closure, s.call.name, s.call.path, s.call.variables) for s in self._steps]
        for step, closure, said in zip(self._steps, full, meta['steps']):
            step.call.closure = closure
            step.meta['manifest'] = said['manifest'] = closure.digest.hex()
        closure_mod.register(runtime.client(), Bundle(full))


class Bundle(object):
    """Several closures under one name."""

    def __init__(self, closures):
        self._closures = closures
        self._content = json.dumps(sorted(closure.digest.hex() for closure in closures)).encode('ascii')
        self.digest = hashlib.sha256(self._content).digest()

    def pieces(self):
        """As those of a closure."""
        needed, python2 = {self.digest: self._content}, {}
        for closure in self._closures:
            for mine, all_ in zip(closure.pieces(), (needed, python2)):
                all_.update(mine)
        return needed, dict((digest, content) for digest, content in python2.items() if digest not in needed)


def bundle(steps):
    """The name for the closures of steps."""
    key = frozenset(step.call.closure.digest for step in steps)
    found = _bundles.get(key)
    if found is None:
        found = _bundles[key] = Bundle([step.call.closure for step in steps]).digest
    return found


def told(result):
    """The results of the steps that were run, by index: what calls of their own would have been answered with. And the last that was done wholly."""
    found, done, turn, rest = {}, -1, 0, result.out
    while turn is not None and rest:
        line, _, rest = rest.partition(b'\n')
        entry = json.loads(line.decode('ascii'))
        step = found[entry['step']] = _Result()
        if 'rc' in entry:
            out, err = entry['out'], entry['err']
            step.out, step.err, rest = rest[:out], rest[out:out + err], rest[out + err:]
            step.rc = entry['rc']
        elif 'error' in entry:
            step.status, step.errno, step.text = entry['error']
        if entry.get('done'):
            done = entry['step']
        turn = entry['next']
    if turn is not None:  # the module has ended the process of all of them
        found[turn] = _Result()
        found[turn].rc = result.rc
    return found, done


class _Result(object):
    """As client.Result."""

    status, rc, errno, text, out, err = wire.OK, 0, 0, '', b'', b''

    @property
    def exit_status(self):
        return self.rc if self.rc >= 0 else 128 - self.rc


def prepare(name, closure):
    """In the parent: when the last of them has been put together, the multiplexer is told of all that a copy needs. Returns the name for that, or None."""
    if name == _STAT or name in _FOLLOWING:
        _prepared[name] = closure
        if len(_prepared) == 1 + len(_FOLLOWING):
            whole = Bundle(list(_prepared.values()))
            closure_mod.register(runtime.client(), whole)
            _prepared.clear()
            return whole.digest
    return None


# Which copies

def eligible_module(call):
    """Whether a module is Ansible's own."""
    return call.path.startswith(os.path.join(_OWN, 'modules', '')) and call.name in (_STAT,) + _FOLLOWING


def eligible_action(action):
    """Whether a task may be sent ahead, as far as one can tell before it has begun."""
    task = action._task
    return not (task.async_val or getattr(task, 'timeout', None) or C.DEFAULT_KEEP_REMOTE_FILES
                or any(set(task.args) & set(('raw', 'decrypt'))) or not _plain_environment(task.environment))


def _plain_environment(environment):
    """Whether the variables that are set for a task are what they are, and not templates still."""
    return all(isinstance(one, dict) and '{' not in ('%s' % (one,))[1:-1] for one in environment or ())


def own(stock):
    """Whether an action class is Ansible's own."""
    path = getattr(stock, '_original_path', None) or ''
    return str.__str__(path).startswith(os.path.join(_OWN, 'plugins', 'action', ''))


def small(path):
    """Whether a file on the controller may ride along."""
    try:
        st = os.stat(to_bytes(path, errors='surrogate_or_strict'))
    except OSError:
        return False
    return stat.S_ISREG(st.st_mode) and st.st_size <= texts.SMALL_FILE


class _Loader(object):
    """A loader for rehearsals, that leaves everything as it is."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def get_real_file(self, path, decrypt=True):
        """The file itself. One that is encrypted is not for rehearsals."""
        found = self._loader.get_real_file(path, decrypt=decrypt)
        if found != path:
            self._loader.cleanup_tmp_file(found)
            raise _Asked()
        return found

    def cleanup_tmp_file(self, path):
        """Nothing: it is needed still."""


def _stand_in(action, found, overrides):
    """A copy of an action whose questions are answered out of a list, and which does nothing."""
    left = list(found)
    double = object.__new__(type(action))
    double.__dict__.update(action.__dict__)

    def stat_of(*args, **kwargs):
        if not left:
            raise _Asked()
        return dict(left.pop(0))

    def module(*args, **kwargs):
        raise _Asked(None if args or left else kwargs)

    def unknown(*args, **kwargs):
        raise _Asked()

    double.__dict__.update(
        _execute_remote_stat=stat_of, _execute_module=module, _get_diff_data=unknown, _low_level_execute_command=unknown,
        _remove_tempfile_if_content_defined=lambda *args, **kwargs: None, _loader=_Loader(action._loader))
    double.__dict__.update(overrides)
    return double


def rehearse(function, *args):
    """What a stand-in asks for in the end: the module's name and arguments, ENDS, or None if one cannot tell."""
    try:
        function(*args)
        return ENDS
    except _Asked as asked:
        given = asked.kwargs
        if given and set(given) == set(('module_name', 'module_args', 'task_vars')) and given['module_name'] in _FOLLOWING:
            return given['module_name'], given['module_args']
    except Exception as e:  # the action will meet it again
        log.debug('not foreseen: %s' % type(e).__name__)
    return None


class Foresight(action_mixin.ActionMixin):
    """An action that looks at its destination, and then runs one module."""

    def _spindle_foresee(self, source, private, task_vars, function, overrides, *args):
        """A plan for what an action asks for about a source; function is the part of it that is rehearsed. None if it is not eligible."""
        if not (own(self.spindle_stock) and eligible_action(self) and small(source)):
            return None

        def attempt(found):
            return rehearse(function, _stand_in(self, found, overrides), *args)

        return Plan(self, attempt, source, private, task_vars)

    def _execute_remote_stat(self, *args, **kwargs):
        plan = self._spindle_plan
        if plan is None:
            return super(Foresight, self)._execute_remote_stat(*args, **kwargs)
        plan.asking = True
        try:
            status = super(Foresight, self)._execute_remote_stat(*args, **kwargs)
        finally:
            plan.asking = False
        plan.found(status)
        return status


class CopyMixin(Foresight):
    """For copy, and for the last part of template."""

    @property
    def _find_needle(self):
        """Ansible's own, once it may look. What that raises is shown to users, with its stack, where we are not to be seen."""
        find = super(CopyMixin, self)._find_needle
        if methods.short(str(self._task.action)) == 'copy':
            copies.look(self, find, 'files')
        return find

    def _copy_file(self, source_full, source_rel, content, content_tempfile, dest, task_vars, follow):
        given = source_full, source_rel, content, content_tempfile, dest, task_vars, follow
        stock = self.spindle_stock._copy_file
        private = source_full.startswith(os.path.join(C.DEFAULT_LOCAL_TMP, ''))
        copies.write(dest, source_rel, content, private)
        plan = None
        if private or boolean(self._task.args.get('force', True), strict=False):  # else a second attempt would have nothing to say
            plan = self._spindle_foresee(source_full, private, task_vars, stock, {}, *given)
        self._spindle_plan = plan
        changed = flight.has_changed()
        try:
            try:
                result = stock(self, *given)
            except Mismatch:
                # The file has changed while it was being copied. It is copied once more, without foresight.
                self._spindle_plan = None
                self._connection.spindle.queue.clear()
                result = stock(self, *given)
                changed = changed or plan.changed
            if isinstance(result, dict) and changed:
                result['changed'] = True
            return result
        finally:
            self._spindle_plan = None


class AssembleMixin(Foresight):
    """For assemble, of fragments that the controller has."""

    _spindle_whole = None  # the file that was put together

    def run(self, tmp=None, task_vars=None):
        try:
            return super(AssembleMixin, self).run(tmp, task_vars)
        finally:
            self._spindle_plan = self._spindle_whole = None

    def _assemble_from_fragments(self, *args, **kwargs):
        self._spindle_whole = self.spindle_stock._assemble_from_fragments(self, *args, **kwargs)
        return self._spindle_whole

    def _execute_remote_stat(self, path, all_vars=None, **kwargs):
        whole = self._spindle_whole
        if whole is not None and self._spindle_plan is None:
            stock = self.spindle_stock.run
            overrides = {
                '_assemble_from_fragments': lambda *args, **kwargs: whole, '_remote_expand_user': lambda *args, **kwargs: path,
                '_remove_tmp_path': lambda *args, **kwargs: None}
            self._spindle_plan = self._spindle_foresee(whole, True, all_vars, stock, overrides, None, all_vars)
        return super(AssembleMixin, self)._execute_remote_stat(path, all_vars=all_vars, **kwargs)


class TemplateMixin(action_mixin.ActionMixin):
    """For template, which has copy do its last part, and removes the temporary directory behind it."""

    def run(self, tmp=None, task_vars=None):
        session = self._connection.spindle
        outer, session.lent = session.lent, own(self.spindle_stock) and self._connection._shell.tmpdir is None  # else it is somebody else's
        try:
            return super(TemplateMixin, self).run(tmp, task_vars)
        finally:
            session.lent = outer

    @property
    def _find_needle(self):
        """As for copy."""
        find = super(TemplateMixin, self)._find_needle
        marks = any(name.endswith('_string') for name in self._task.args)
        copies.look(self, find, 'templates', lambda item, path: not marks and copies.independent(item, path))
        return find


def _names(action):
    return [prefix + action for prefix in ('', 'ansible.builtin.', 'ansible.legacy.')]


MIXINS = {}
for _name, _mixin in (('copy', CopyMixin), ('assemble', AssembleMixin), ('template', TemplateMixin)):
    MIXINS.update((one, _mixin) for one in _names(_name))
