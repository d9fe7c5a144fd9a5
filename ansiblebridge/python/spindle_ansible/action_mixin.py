"""The action plugins' half: what ActionBase does on a target, done by the agent.

ActionBase._execute_module is Ansible's own in every version, with all that it does to
arguments and results. It is led through its pipelined path: _configure_module returns a
ModuleCall for the payload, which comes out again as the input of
_low_level_execute_command, and is one call to the agent there. Modules that do not run
from memory take Ansible's own way: its payload, over our connection.
"""
import os
import random
import re
import shlex

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure
from ansible.executor.interpreter_discovery import InterpreterDiscoveryRequiredError
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible.plugins.action import ActionBase
from ansible.template import Templar
from ansible.utils.display import Display

from spindle_ansible import accounts
from spindle_ansible import aside
from spindle_ansible import closure as closure_mod
from spindle_ansible import compat
from spindle_ansible import connection as connection_mod
from spindle_ansible import discovery
from spindle_ansible import files
from spindle_ansible import flight
from spindle_ansible import log
from spindle_ansible import runtime
from spindle_ansible import session as session_mod
from spindle_ansible import settings
from spindle_ansible import texts
from spindle_ansible import wire

display = Display()

_classes = {}

# Variables that Python, the program loader, the C library or OpenSSL looks at once, when it starts: a fork of the agent would not mind them.
_READ_AT_START = re.compile(
    r'PYTHON(?!(?:UNBUFFERED|DONTWRITEBYTECODE|WARNINGS|STARTUP)$)|LD_|OPENSSL_|(?:GCONV_PATH|LOCPATH|GLIBC_TUNABLES)$')

# Languages that Python reads and writes file names in UTF-8 in (from 3.7 on also in none), and those that change nothing for one that does not.
_UTF8 = re.compile(r'^(?:C|POSIX)?$|\.utf-?8\b', re.I)
_PLAIN = re.compile(r'^(?:C|POSIX)?$')
_LANGUAGE = 'LC_ALL', 'LC_CTYPE', 'LANG'

_WAITS = ('wait_for_connection', 'ansible.builtin.wait_for_connection', 'ansible.legacy.wait_for_connection')
_NAMES_OF_SCRIPT = ('script', 'ansible.builtin.script', 'ansible.legacy.script')


def class_for(stock, mixin):
    """The class that replaces a stock action class; the same one every time."""
    key = (stock, mixin)
    made = _classes.get(key)
    if made is None:
        made = type(stock.__name__, (mixin, stock), {
            'spindle_stock': stock, '__module__': stock.__module__, '__doc__': stock.__doc__})
        _classes[key] = made
    return made


class ModuleCall(bytes):
    """A module to be run from memory, in the place of the script that Ansible would send."""

    closure = None
    name = None
    path = None
    variables = None
    arguments = b''
    given = None  # what they were made of
    meta = None
    environment = None


def shell_result(error=None):
    """What a command would have returned."""
    if error is None:
        return {'rc': 0, 'stdout': u'', 'stdout_lines': [], 'stderr': u'', 'stderr_lines': []}
    return {'rc': 1, 'stdout': u'', 'stdout_lines': [], 'stderr': error, 'stderr_lines': error.splitlines()}


class ActionMixin(ActionBase):
    """Goes in front of an action class, whose connection may turn out not to be ours.

    It has the base class of the stock one, or an instance could not change over to that.
    """

    spindle_stock = None
    _spindle_state = None
    _spindle_plan = None  # what is sent ahead, for actions of which one knows what they will ask for
    _spindle_async = False
    _spindle_lacking = False
    _spindle_refused = False  # whether there is nowhere to send files to, so that what uses them fails, as with stock Ansible
    _spindle_modules_refused = False
    _spindle_task_vars = None

    def __init__(self, *args, **kwargs):
        super(ActionMixin, self).__init__(*args, **kwargs)
        if not connection_mod.is_ours(self._connection):
            self.__class__ = self.spindle_stock

    def run(self, tmp=None, task_vars=None):
        """Run the action, with this task's settings known to the connection."""
        variables = self._spindle_variables(task_vars or {})
        templar = self._spindle_templar(variables, task_vars)
        unsupported = self._connection.spindle_unsupported(variables)
        if unsupported:
            flight.in_turn()
            refused = aside.refusal(self._connection, unsupported[1], variables, templar)
            if refused:
                raise AnsibleConnectionFailure(refused)
            if unsupported[0]:
                log.warn_once(unsupported[0], texts.UNSUPPORTED % unsupported[1])
            aside.step(self._connection, variables, templar, self._task)
            self.__class__ = self.spindle_stock
            return self.run(tmp, task_vars)
        session = self._connection.spindle
        if session.depth == 0 and not self._spindle_follows(session):
            session.begin(variables, (task_vars or {}).get('hostvars'), templar, self._loader.get_basedir(), self._templar)
            session.delegate_to = self._task.delegate_to
        session.depth += 1
        done = False
        self._spindle_task_vars = task_vars or {}
        outer = runtime.set_task(self)
        try:
            result = super(ActionMixin, self).run(tmp, task_vars)
            done = True
        finally:
            runtime.set_task(outer)
            session.depth -= 1
            if not done:
                session.queue.clear()
        if session.depth == 0:
            session.flush()
        return result

    def _spindle_variables(self, task_vars):
        """The variables of the host that the task runs on."""
        if self._task.delegate_to:
            return (task_vars.get('ansible_delegated_vars') or {}).get(self._task.delegate_to) or task_vars
        return task_vars

    def _spindle_templar(self, variables, task_vars):
        """What those are templated with: themselves. Ansible has its own templar know the host that the task belongs to."""
        if not self._task.delegate_to or variables is task_vars:
            return self._templar
        loop = [task_vars.get('ansible_loop_var'), task_vars.get('ansible_index_var'), 'ansible_loop']  # Ansible has them nowhere else
        return Templar(loader=self._loader, variables=dict(((name, task_vars[name]) for name in loop if name in task_vars), **variables))

    def _spindle_follows(self, session):
        """Whether this is a task that Ansible has made up to see to a job, by the connection that the job was begun with. It knows no delegation."""
        return session.basedir is not None and getattr(self._task, '_parent', None) is None

    def _spindle_bare(self):
        """Whether Ansible's own ways by the shell are all that works: where there is no Python."""
        return self._connection.spindle.is_bare()

    # Modules

    def _execute_module(self, *args, **kwargs):
        try:
            return self._spindle_execute_module(*args, **kwargs)
        except session_mod.Refused as e:
            refused = e
        # Outside of that, as newer releases show what an error has come of.
        self._spindle_modules_refused = True
        found = compat.unparsed(self, dict(shell_result(refused.said), rc=refused.rc), refused.text)
        return dict(found, changed=True) if kwargs.get('wrap_async', len(args) > 6 and args[6]) else found

    def _spindle_execute_module(self, *args, **kwargs):
        if self._task.action in _WAITS and self._spindle_bare():
            return {'ping': 'pong', 'changed': False}  # it was reached, which is all that is asked for
        outer = self._spindle_state, self._spindle_async, self._spindle_lacking
        self._spindle_state = None
        self._spindle_lacking = self._spindle_lacks_python()
        self._spindle_async = bool(kwargs.get('wrap_async', len(args) > 6 and args[6]))
        session = self._connection.spindle
        session.no_tty = self._spindle_async
        if session.basedir is None:
            self._spindle_adopt(session, kwargs.get('task_vars') or {})
        if session.gone and session.gone == self._connection._shell.tmpdir:
            session.bring_back(session.context())
        try:
            return super(ActionMixin, self)._execute_module(*args, **kwargs)
        finally:
            self._spindle_state, self._spindle_async, self._spindle_lacking = outer
            self._connection.spindle.no_tty = False

    def _spindle_lacks_python(self):
        """Whether there is no Python for modules. Ansible's own way then finds that out and says it: the task fails, the host stays."""
        try:
            self._connection.spindle.ensure()
        except AnsibleConnectionFailure as e:
            if texts.NO_PYTHON not in str(e):
                raise
            return self._spindle_bare()
        return False

    def _spindle_adopt(self, session, task_vars, templar=None):
        """Let a connection that the action has made itself know its settings.

        One to the controller has nothing of the task's host but its interpreters, which the action has seen to.
        """
        variables = task_vars
        if session.connection.spindle_method == 'local':
            variables = dict((k, v) for k, v in task_vars.items() if k.startswith('ansible_') and k.endswith('_interpreter'))
        session.begin(variables, task_vars.get('hostvars'), templar or self._templar, self._loader.get_basedir())

    def spindle_lend(self, session):
        """The same for one that it has made and uses by itself, without a module."""
        variables = self._spindle_variables(self._spindle_task_vars)
        templar = self._spindle_templar(variables, self._spindle_task_vars)
        self._spindle_adopt(session, dict(variables, hostvars=self._spindle_task_vars.get('hostvars')), templar)
        if session.connection.spindle_method != 'local':
            session.delegate_to = self._task.delegate_to

    def _is_pipelining_enabled(self, module_style='new', wrap_async=False):
        """Whether no file is needed on the target: for what runs from memory. What does not goes by Ansible's own payload, and its rules."""
        if self._spindle_lacking or self._spindle_state is False:
            return super(ActionMixin, self)._is_pipelining_enabled(module_style, wrap_async)
        return not (module_style != 'new' or wrap_async or self._spindle_async or C.DEFAULT_KEEP_REMOTE_FILES)

    def _configure_module(self, module_name, module_args, task_vars):
        built = None
        if self._spindle_in_memory():
            built = self._spindle_build(module_name, module_args, task_vars)
        self._spindle_state = built is not None
        if built is not None:
            return built
        if not self._spindle_lacking:
            accounts.make_way(self._connection.spindle, compat.plain(module_name), module_args)
        return super(ActionMixin, self)._configure_module(
            module_name=module_name, module_args=module_args, task_vars=task_vars)

    def _spindle_in_memory(self):
        """Whether modules may run from memory at all here."""
        return not (self._spindle_lacking or self._spindle_async or C.DEFAULT_KEEP_REMOTE_FILES or os.environ.get('_ANSIBLE_COVERAGE_CONFIG'))

    def _spindle_build(self, module_name, module_args, task_vars):
        """The module as a call to the agent, or None where it does not run from memory."""
        found = self._shared_loader_obj.module_loader.find_plugin_with_context(
            module_name, '', collection_list=self._task.collections)
        path = found.plugin_resolved_path if found.resolved else None
        if not path:
            return None
        path = compat.plain(path)
        variables = self._spindle_variables(task_vars)
        if closure_mod.promised():
            self._connection.spindle.ensure()  # the parent puts the closure together meanwhile
        closure = closure_mod.lookup(compat.plain(module_name), path, variables)
        if closure is None:
            return None

        environment = {}
        self._compute_environment_string(environment)
        if not self._spindle_python(closure, variables, environment) or self._spindle_starts_otherwise(environment):
            return None
        shebang = self._spindle_shebang(closure, variables, task_vars)
        encoded = compat.encode_arguments(module_name, module_args, closure.profile)
        call = ModuleCall(b'spindle')
        call.closure, call.name, call.path, call.variables = closure, compat.plain(module_name), path, variables
        call.arguments, call.given = to_bytes(encoded), module_args
        limit = compat.config_value('PYTHON_MODULE_RLIMIT_NOFILE', variables, 0)
        call.meta = {
            'fqn': closure.fqn,
            'manifest': closure.digest.hex(),
            'profile': closure.profile,
            'rlimit_nofile': int(compat.template(self._templar, limit) or 0),
            'secrets': compat.secrets_in(encoded),
        }
        call.environment = dict((compat.plain(k), compat.plain(to_text(v))) for k, v in environment.items())
        return compat.built_module(call, shebang, path, closure.profile)

    def _spindle_python(self, closure, variables, environment):
        """Whether the interpreter that a module names is the agent's. Ansible has its own choice only in the place of one called `python`."""
        name = os.path.basename(closure.interpreter)
        if name == 'python':
            return not (closure.arguments or 'PATH' in environment and settings.interpreter(variables, self._templar).by_path)
        if 'ansible_%s_interpreter' % name in variables or name == 'env' and 'PATH' in environment:
            return False
        return ' '.join([closure.interpreter] + closure.arguments) in self._connection.spindle.context().hello.get('pythons', ())

    def _spindle_starts_otherwise(self, environment):
        """Whether an interpreter that is started with these variables is another one than the agent's is, and stays."""
        if any(_READ_AT_START.match(compat.plain(name)) for name in environment):
            return True
        language = dict((name, compat.plain(to_text(environment[name]))) for name in _LANGUAGE if name in environment)
        if not language:
            return False
        hello = self._connection.spindle.context().hello
        kept = _UTF8 if (hello.get('encoding') or '').lower() == 'utf-8' else _PLAIN
        if not all(kept.search(one) for one in language.values()):
            return True
        # A Python that starts without a language reads and writes all in UTF-8 (3.7 up). One that had a language goes by the C library's
        # word, which then is ASCII; or UTF-8 again, where Python can put that into LC_CTYPE, as the agent does for the task, too.
        names = _LANGUAGE[:1] if hello.get('coerces') else _LANGUAGE
        counts = [language[name] for name in names if language.get(name)]
        return hello.get('utf8_mode') == 0 and counts[:1] in (['C'], ['POSIX'])

    def _spindle_shebang(self, closure, variables, task_vars):
        """The interpreter line, for which Ansible may want to discover an interpreter."""
        for _ in (1, 2):
            try:
                return compat.shebang(closure.interpreter, variables, self._templar, closure.arguments,
                                      bool(getattr(self._connection, '_remote_is_local', False)))
            except InterpreterDiscoveryRequiredError as required:
                found = discovery.discover(self, required, variables)
                discovery.record(self, required, found, variables, task_vars)
        return None

    def _spindle_run_module(self, call, sudoable):
        """One call to the agent."""
        session = self._connection.spindle
        accounts.make_way(session, call.name, call.given)
        context = session.context(sudoable)
        meta = dict(call.meta, **session.surroundings(context, call.environment))
        result = self._spindle_plan.result(call, meta, context) if self._spindle_plan is not None else None
        if result is None:
            result = self._spindle_call(session, call, meta, context)
        if result.status != wire.OK:
            session._raise(result)
        out = to_text(result.out, errors='surrogate_then_replace')
        err = to_text(result.err, errors='surrogate_then_replace')
        return {'rc': result.exit_status, 'stdout': out, 'stdout_lines': out.splitlines(),
                'stderr': err, 'stderr_lines': err.splitlines()}

    def _spindle_call(self, session, call, meta, context):
        closure = call.closure
        for _ in range(2):
            result = session.call('module', context, meta=meta, parts=[call.arguments], closure=closure.digest,
                                  check=False)
            if result.status != wire.UNKNOWN_CLOSURE:
                break
            full = closure_mod.complete(closure, call.name, call.path, call.variables)
            closure_mod.register(runtime.client(), full)
            if full.digest != closure.digest:
                closure = full
                meta['manifest'] = full.digest.hex()
        return result

    def _update_module_args(self, module_name, module_args, task_vars, **kwargs):
        super(ActionMixin, self)._update_module_args(module_name, module_args, task_vars, **kwargs)
        if self._spindle_lacking:
            return
        context = self._connection.spindle.context()
        module_args['_ansible_tmpdir'] = None if self._spindle_async else self._connection._shell.tmpdir
        if context.hello.get('tmp'):
            module_args['_ansible_remote_tmp'] = context.hello['tmp']

    # Commands

    def _low_level_execute_command(self, cmd, sudoable=True, in_data=None, executable=None,
                                   encoding_errors='surrogate_then_replace', chdir=None, process_result=None, **kwargs):
        if isinstance(in_data, ModuleCall):
            return self._spindle_run_module(in_data, sudoable)
        shell = self._connection._shell
        if chdir:
            cmd = shell.append_command('cd %s' % chdir, cmd)
        if executable:
            shell.executable = executable
        if executable is None:
            executable = self._play_context.executable
        if executable:
            cmd = executable + ' -c ' + shlex.quote(cmd)
        display.debug('_low_level_execute_command(): executing: %s' % (cmd,))
        rc, out, err = self._connection.exec_command(cmd, in_data=in_data, sudoable=sudoable)
        if process_result:
            rc, out, err = process_result(rc, out, err)
        out = to_text(out, errors=encoding_errors)
        err = to_text(err, errors=encoding_errors)
        return {'rc': rc, 'stdout': out, 'stdout_lines': out.splitlines(),
                'stderr': err, 'stderr_lines': err.splitlines()}

    # Temporary files

    def _make_tmp_path(self, remote_user=None):
        """Name a temporary directory; it is made by the next call."""
        self._spindle_refused = False
        try:
            bare = self._spindle_bare()
        except session_mod.Refused:
            self._spindle_refused = self._cleanup_remote_tmp = True
            self._connection._shell.tmpdir = '/nonexistent/' + texts.TEMP_PREFIX
            return self._connection._shell.tmpdir
        if bare:
            return super(ActionMixin, self)._make_tmp_path(remote_user)
        session = self._connection.spindle
        context = session.context()
        base = self._connection.spindle_temp_dir(context)
        path = '%s/%s%016x' % (base.rstrip('/'), texts.TEMP_PREFIX, random.SystemRandom().getrandbits(64))
        detached = self._spindle_async or self._task.async_val
        if detached:
            path += '-tmp-'  # async_wrapper outlives us, and removes only directories of such names
        temp = not (detached or C.DEFAULT_KEEP_REMOTE_FILES)
        session.queue_op(files.mkdir(path, temp=temp), context=context)
        self._cleanup_remote_tmp = True
        self._connection._shell.tmpdir = path
        return path

    def _should_remove_tmp_path(self, tmp_path):
        target = self._connection.spindle.target
        if target is not None and target.bare:
            return super(ActionMixin, self)._should_remove_tmp_path(tmp_path)
        return bool(tmp_path and self._cleanup_remote_tmp and not C.DEFAULT_KEEP_REMOTE_FILES
                    and texts.TEMP_PREFIX in tmp_path)

    def _remove_tmp_path(self, tmp_path, force=False):
        """Remove a temporary directory, without waiting for it."""
        target = self._connection.spindle.target  # what was never connected has nothing to remove
        if target is not None and target.bare:
            given = {'force': force} if force else {}  # releases up to 2.10 know no force
            return super(ActionMixin, self)._remove_tmp_path(tmp_path, **given)
        if tmp_path is None:
            tmp_path = self._connection._shell.tmpdir
        if tmp_path and (force or self._should_remove_tmp_path(tmp_path)):
            self._connection.spindle.remove(tmp_path)
            self._connection._shell.tmpdir = None

    def _transfer_file(self, local_path, remote_path):
        if self._spindle_refused:
            return remote_path
        if self._task.action in _NAMES_OF_SCRIPT:
            accounts.make_way_for_script(self._connection.spindle, local_path)
        self._connection.put_file(local_path, remote_path)
        return remote_path

    def _transfer_data(self, remote_path, data):
        if self._spindle_refused:
            return remote_path
        if data is None and not compat.HAS_BUILT_MODULE:
            data = {}
        if isinstance(data, dict) and not compat.HAS_BUILT_MODULE:
            from ansible.parsing.utils.jsonify import jsonify
            data = jsonify(data)
        if not isinstance(data, (bytes, str)):
            raise TypeError('data must be either a string or bytes')
        self._connection.put_data(remote_path, to_bytes(data, errors='surrogate_or_strict'), mode=0o600)
        return remote_path

    def _fixup_perms2(self, remote_paths, remote_user=None, execute=True):
        """Files belong to the account that uses them already; at most they have to be executable."""
        if self._spindle_refused:
            return remote_paths
        if self._spindle_bare():
            return super(ActionMixin, self)._fixup_perms2(remote_paths, remote_user, execute)
        if execute:
            mode = 'u+rwx' if compat.HAS_BUILT_MODULE else 'u+x'
            for path in remote_paths:
                if path != self._connection._shell.tmpdir:  # which is
                    self._connection.spindle.queue_op(files.chmod(compat.plain(path), mode))
        return remote_paths

    # Questions and changes

    def _spindle_ops(self, ops, sudoable):
        session = self._connection.spindle
        return session.run_ops(ops, session.context(sudoable))

    def _spindle_path(self, path):
        return self._connection.spindle.absolute(compat.plain(path))

    def _remote_file_exists(self, path):
        try:
            bare = self._spindle_bare()
        except session_mod.Refused:
            return False
        if bare:
            return super(ActionMixin, self)._remote_file_exists(path)
        found, error = self._spindle_ops([{'op': 'exists', 'path': self._spindle_path(path)}], True)
        return error is None and bool(found[0])

    def _remote_chmod(self, paths, mode, sudoable=False):
        if self._spindle_bare():
            return super(ActionMixin, self)._remote_chmod(paths, mode, sudoable)
        mode = mode if isinstance(mode, int) else compat.plain(mode)
        return shell_result(self._spindle_ops([files.chmod(self._spindle_path(path), mode) for path in paths], True)[1])

    def _remote_chown(self, paths, user, sudoable=False):
        if self._spindle_bare():
            return super(ActionMixin, self)._remote_chown(paths, user, sudoable)
        return shell_result(self._spindle_ops(
            [files.chown(self._spindle_path(path), user=compat.plain(user)) for path in paths], True)[1])

    def _remote_chgrp(self, paths, group, sudoable=False):
        if self._spindle_bare():
            return super(ActionMixin, self)._remote_chgrp(paths, group, sudoable)
        return shell_result(self._spindle_ops(
            [files.chown(self._spindle_path(path), group=compat.plain(group)) for path in paths], True)[1])

    def _remote_expand_user(self, path, sudoable=True, pathsep=None):
        if not path.startswith('~'):
            return path
        try:
            bare = self._spindle_bare()
        except session_mod.Refused:
            return path
        if bare:
            return super(ActionMixin, self)._remote_expand_user(path, sudoable, pathsep)
        session = self._connection.spindle
        context = session.context(sudoable)
        if path == '~' or path.startswith('~/'):
            home = context.hello.get('home')
            source = session.source()  # the connection that is shown to an action may hide that it becomes somebody
            if not (sudoable and source.become and source.become_option('become_user') or source.remote_user()):
                home = context.hello.get('env_home') or home  # nobody is named, and a shell goes by that
            if home:
                return home.rstrip('/') + path[1:] or '/'
        found, error = session.run_ops([{'op': 'expanduser', 'path': compat.plain(path)}], context)
        return path if error else found[0]
