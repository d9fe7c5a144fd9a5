"""The connection plugin: Ansible's own, with everything that travels replaced.

Instances are of classes made of Connection below and the stock class, so options,
names, variables and whatever other plugins look at are those of the stock plugin.
And one that turns out to need what we cannot do becomes a stock connection by
changing its class.
"""
import copy
import os
import stat
import tempfile

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.module_utils.common.text.converters import to_bytes
from ansible.plugins.connection import ConnectionBase

from spindle_ansible import accounts
from spindle_ansible import aside
from spindle_ansible import compat
from spindle_ansible import config
from spindle_ansible import files
from spindle_ansible import hops
from spindle_ansible import methods
from spindle_ansible import runtime
from spindle_ansible import session as session_mod
from spindle_ansible import settings
from spindle_ansible import sources
from spindle_ansible import texts
from spindle_ansible import tickets

_classes = {}


def class_for(stock, method):
    """The class that replaces a stock connection class; the same one every time."""
    made = _classes.get(stock)
    if made is None:
        made = type('Connection', (Connection, stock), {
            'spindle_stock': stock, 'spindle_method': method, '__module__': stock.__module__,
            '__doc__': stock.__doc__})
        _classes[stock] = made
    return made


def is_ours(connection):
    """Whether a connection's traffic is ours."""
    return isinstance(connection, Connection)


class Connection(ConnectionBase):
    """The half of the class that is ours.

    It has the base class of the stock one, or an instance could not change over to that.
    """

    spindle_stock = None
    spindle_method = None
    spindle_name = ''  # that it was asked for by

    # A become plugin that wants a terminal gets one, whatever the login has: the stock ssh plugin needs -tt for it.
    has_tty = True

    @property
    def spindle(self):
        """The session behind this connection."""
        found = self.__dict__.get('_spindle_session')
        if found is None:
            found = self._spindle_session = session_mod.Session(self)
        return found

    def spindle_step_aside(self):
        """Become the stock connection."""
        self.__dict__.pop('_spindle_session', None)
        self._connected = False
        self.__class__ = self.spindle_stock

    def spindle_twin(self):
        """Another object of the same connection, for what runs beside this one's task."""
        twin = copy.copy(self)
        twin._shell = copy.copy(self._shell)
        for plugin in (twin, twin._shell):
            for name in ('_options', '_origins'):
                if isinstance(plugin.__dict__.get(name), dict):
                    setattr(plugin, name, dict(plugin.__dict__[name]))
        twin._shell.tmpdir = None  # this one's task may be under way in its own
        twin._spindle_session = self.spindle.twin(twin)
        return twin

    @property
    def connected(self):
        """Whether loop items may share this object: a release that would not tell it of another become does not, as with its own ssh."""
        return self.spindle.connected and compat.tells_become()

    def matches_name(self, possible_names):
        """Whether this object is what those names ask for."""
        return any(methods.connection(name) == self.spindle_method for name in possible_names)

    def _connect(self):
        self.spindle.ensure()
        return self

    @property
    def homedir(self):
        """The home directory of the account that tasks run in."""
        return self.spindle.context().hello.get('home')

    def get_good_temp_dir(self):
        """A directory on the target in which temporary files can be made."""
        return self.spindle_temp_dir(self.spindle.context())

    def spindle_temp_dir(self, context):
        """The same for any account."""
        found = context.hello.get('tmp') or ('/tmp' if context.bare else None)
        if not found:
            raise AnsibleError(texts.NO_TEMP_DIR % '\n    '.join(context.hello.get('tmp_tried') or []))
        return found

    @property
    def delegate_to_hostname(self):
        """The name of the host that the task was delegated to."""
        return self.spindle.delegate_to

    @property
    def loader_basedir(self):
        """The directory of the play book."""
        return self.spindle.basedir

    def exec_command(self, cmd, in_data=None, sudoable=True, mitogen_chdir=None):
        """Run a command line: (rc, stdout, stderr)."""
        session = self.spindle
        ssh = self.spindle_method == 'ssh'  # stock Ansible has a terminal there, and with no other connection
        wanted = sources.option(self, 'use_tty')
        tty = wanted is None or settings.truth(wanted)
        emulate_tty = ssh and tty and sudoable and not in_data and not session.no_tty
        try:
            result = self._run(cmd, in_data, sudoable, mitogen_chdir, emulate_tty)
            rc, out, err = result.exit_status, result.out, result.err
        except session_mod.Refused as e:
            if not sudoable:
                raise
            said = to_bytes(e.said) + b'\n'
            rc, out, err = (e.rc, said, b'') if emulate_tty else (e.rc, b'', said)
        if ssh and tty:
            source = session.source()
            farewell = texts.HANGUP % (source.get('host') or source.address(),)
            err += to_bytes(farewell) + (b'\r\n' if emulate_tty else b'\n')
        return rc, out, err

    def _run(self, cmd, in_data, sudoable, directory, emulate_tty):
        """The result of a command line."""
        session = self.spindle
        context = session.context(sudoable, bare=True)
        if not isinstance(cmd, bytes):
            cmd = compat.plain(u'%s' % (cmd,))  # raw without a command is None, and runs that
        accounts.make_way_for_command(session, cmd)
        meta = session.surroundings(context)
        line = _text(cmd)
        if context.bare or self.spindle_method == 'ssh' and context is session.login:
            meta['command'] = line  # in the account's login shell, as sshd would
        else:
            meta['argv'] = [compat.plain(getattr(self._shell, 'executable', None)) or '/bin/sh', '-c', line]
        meta['tty'] = emulate_tty
        if directory:
            meta['cwd'] = directory
        return session.call('exec', context, meta=meta, parts=[to_bytes(in_data)] if in_data else [])

    def put_file(self, in_path, out_path):
        """Send a file of the controller; a small one rides in the next call."""
        b_path = to_bytes(in_path, errors='surrogate_or_strict')
        try:
            st = os.stat(b_path)
        except OSError:
            raise AnsibleFileNotFound(texts.NO_SUCH_FILE % (in_path,))
        if stat.S_ISCHR(st.st_mode):  # /dev/null, which stock Ansible's ways of sending read as any file
            with open(b_path, 'rb') as f:
                return self.put_data(out_path, f.read())
        if not stat.S_ISREG(st.st_mode):
            raise IOError(texts.NOT_REGULAR % (in_path,))
        mode = stat.S_IMODE(st.st_mode) | stat.S_IRUSR  # root reads here what the account could not read there
        out_path = self.spindle.absolute(_text(out_path))
        if st.st_size <= texts.SMALL_FILE and not self.spindle.is_bare():
            with open(b_path, 'rb') as f:
                content = f.read(texts.SMALL_FILE + 1)
            if len(content) <= texts.SMALL_FILE:  # whatever st_size says: files of /proc and /sys do not know it
                self.put_data(out_path, content, mode=mode, utimes=(st.st_atime, st.st_mtime))
                return
        self._put_large(os.path.abspath(os.fsdecode(b_path)), out_path, mode, True)

    def put_data(self, out_path, data, mode=None, utimes=None):
        """Send content as a file."""
        out_path = self.spindle.absolute(_text(out_path))
        if len(data) <= texts.SMALL_FILE and not self.spindle.is_bare():
            content = bytes(data)
            self.spindle.queue_op(files.write(out_path, content, mode, utimes), content)
            return
        fd, path = tempfile.mkstemp(dir=session_mod.local_temp())
        try:
            with os.fdopen(fd, 'wb') as f:
                f.write(data)
            if utimes is not None:
                os.utime(path, utimes)
            self._put_large(path, out_path, 0o600 if mode is None else mode, utimes is not None)
        finally:
            os.unlink(path)

    def _file_context(self):
        """The account that files are moved in. Without an agent it is the login one, as Ansible has it."""
        session = self.spindle
        return session.context(sudoable=not session.is_bare(), bare=True)

    def _put_large(self, src, dest, mode, times):
        session = self.spindle
        context = self._file_context()
        session.flush()
        session.call('put', context, meta={'src': src, 'dest': dest, 'mode': mode, 'times': times})

    def fetch_file(self, in_path, out_path):
        """Bring a file of the target."""
        session = self.spindle
        context = self._file_context()
        session.flush()
        dest = os.path.abspath(_text(out_path))
        if os.path.islink(dest):  # it is written through, and may lead to what is yet to be made
            dest = os.path.realpath(dest)
        try:
            session.call('get', context, meta={'src': session.absolute(_text(in_path)), 'dest': dest})
        except AnsibleConnectionFailure:
            runtime.clean_up_after(dest)
            raise

    def reset(self):
        """End this host's connection, whoever uses it; the next use makes a new one."""
        meta = runtime.meta_settings()
        if meta is None:
            self.spindle.reset()
            return
        variables, _, templar, _ = meta
        unsupported = self.spindle_unsupported(variables)
        if not unsupported:
            if self.spindle_stock.reset is ConnectionBase.reset:
                ConnectionBase.reset(self)  # says that it can do nothing
            self.spindle.begin(*meta)
            self.spindle.reset()
            unsupported = _foreign(getattr(self._play_context, 'become_method', None))  # tasks with become have gone the stock way
        if unsupported and not aside.refusal(self, unsupported[1], variables, templar):
            aside.step(self, variables, templar)
            self.reset()

    _reset = reset

    def close(self):
        """Do what is still queued. The connection itself stays, in the multiplexer."""
        session = self.__dict__.get('_spindle_session')
        if session is not None:
            session.flush()

    def spindle_unsupported(self, variables):
        """What of this task's settings we cannot do: (key, words) or None. Without a key nobody is warned."""
        if getattr(self._shell, '_IS_WINDOWS', False):
            return 'shell:windows', 'a Windows shell over %s' % self.spindle_method
        foreign = _foreign(getattr(self.become, 'name', None))
        if foreign:
            return foreign
        if self.spindle_method == 'ssh' and sources.option(self, 'private_key'):
            return 'option:private_key', 'the ssh option private_key'
        if (self.spindle_method == 'ssh' and (sources.option(self, 'password') or self._play_context.password)
                and sources.option(self, 'password_mechanism') != 'disable'):
            for name in hops.PASSWORD_FOR:
                if sources.option(self, name):
                    return 'option:' + name, hops.password_for(name)
        if (self.spindle_method == 'local' and getattr(self.become, 'name', None) == 'sudo' and tickets.count()
                and not (sources.option(self.become, 'become_pass') or self._play_context.become_pass)
                and not variables.get('mitogen_via') and not methods.short(self.spindle_name).startswith('mitogen_')):
            return None, "sudo's ticket of this terminal"  # Ansible's own way is as good, and says nothing
        if self.spindle_method == 'buildah' and settings.truth(config.own('buildah', 'auto_commit', variables)):
            return 'option:auto_commit', 'the buildah option auto_commit'
        return None


def _foreign(become):
    """What of a become method we cannot do, in the same way."""
    return None if methods.become(become or '') else ('become:%s' % become, 'the become method %s' % become)


def _text(path):
    """A path as text that can be turned back."""
    if isinstance(path, bytes):
        return path.decode('utf-8', 'surrogateescape')
    return str.__str__(path)
