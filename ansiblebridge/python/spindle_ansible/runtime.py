"""What one ansible-playbook process, and each worker it forks, knows of Spindle.

Module state, because a fork must inherit it and every plugin must find it.
"""
import glob
import os
import pwd
import socket
import threading
import weakref

from spindle_ansible import fallback
from spindle_ansible import log
from spindle_ansible import mux as mux_mod

_mux = None
_active = 0
_meta = None
_typed = (None, None)
_run = None  # what stands for the run, if there was one
_here = threading.local()


def active():
    """Whether a strategy of ours is running, with a multiplexer behind it."""
    return _active > 0 and _mux is not None and not given_up()


def begin(manager):
    """A play begins, of the run that manager stands for. What one run in this process has found out does not hold for the next."""
    global _mux, _run
    before, _run = _run, weakref.ref(manager)
    if before is not None and before() is not manager:
        fallback.end()
        log.forget()
        if _mux is not None and _mux.owner == os.getpid() and _mux.process.poll() is not None:
            _mux.stop()
            _mux = None


def enter():
    """A strategy of ours begins to run. Raises Unavailable where there is nothing to run with."""
    global _mux, _active
    if _mux is None or _mux.owner != os.getpid():  # that of a process which has run plays, and has forked this one to do so, too
        try:
            _mux = mux_mod.Multiplexer(mux_mod.find_binary())
        except OSError as e:  # no more descriptors, say
            raise mux_mod.Unavailable('the multiplexer cannot be started: %s.' % (e.strerror or e))
    _active += 1


def leave():
    """A strategy of ours ends."""
    global _active
    _active -= 1


def given_up():
    """Whether, in this run, it was found that there is no Spindle."""
    return fallback.why() is not None


def wait_ready():
    """Wait for the multiplexer, in the process that started it."""
    _mux.wait_ready()


def client():
    """This thread's session with the multiplexer. A loop's item that was begun ahead gets its loop's, when its turn has come."""
    turn = getattr(_here, 'turn', None)
    return _mux.client() if turn is None else turn(_mux.client)


def ask_through(turn):
    """In this thread, which runs a loop's item, have turn() ask for the client."""
    _here.turn = turn


def hang_up():
    """End this thread's session: what is open on it ends, too."""
    if _mux is not None:
        _mux.hang_up()


def clean_up_after(dest):
    """Remove what a multiplexer that was killed has left beside the destination of a transfer."""
    if _mux.listens():
        return
    for path in glob.glob(os.path.join(glob.escape(os.path.dirname(dest)), '.ansible_mitogen_transfer-%d-*.tmp' % _mux.process.pid)):
        mux_mod.remove_quietly(path)


def rsh_words():
    """The command line that stands for ssh, as far as it is the same for all hosts."""
    return [_mux.binary, 'rsh', '--socket', _mux.path]


def mux_environment():
    """The environment that the multiplexer was started with."""
    return _mux.environ if _mux is not None else os.environ


def identity():
    """Who we are, for the process lists of targets: the same in all workers."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    return '%s@%s:%d' % (name, socket.gethostname(), _mux.owner if _mux is not None else os.getpid())


def set_meta(found):
    """What a connection needs to know during a meta task, where no action tells it."""
    global _meta
    _meta = found


def meta_settings():
    """(variables, templar, basedir) during a meta task, else None."""
    return _meta


def set_task(action):
    """Note which action runs in this thread; returns the one that did, to be put back."""
    before = getattr(_here, 'task', None)
    _here.task = action
    return before


def task():
    """The action that runs in this thread, or None."""
    return getattr(_here, 'task', None)


def set_typed_passwords(login, become):
    """What was typed for -k and -K."""
    global _typed
    _typed = (login or None, become or None)


def typed_passwords():
    """(login, become): passwords that were typed, which intermediaries may need as well."""
    return _typed
