"""What a module needs to run: itself and its imports, by content.

Ansible's own finder walks the imports and writes what it finds into an archive. Here
the archive is a dictionary. The files are named by digest, so what modules have in
common is sent to a target once, and a manifest, itself named by digest, lists them.
"""
import datetime
import hashlib
import json
import os
import re
import threading

import ansible
from ansible import constants as C
from ansible.executor import module_common
from ansible.plugins.loader import module_utils_loader

from spindle_ansible import client as client_mod
from spindle_ansible import compat
from spindle_ansible import fallbacks
from spindle_ansible import leaner
from spindle_ansible import log
from spindle_ansible import waiting
from spindle_ansible import wire

# Files of which a real archive on the target's disk is needed: they start another interpreter.
NEED_ARCHIVE = ('ansible/module_utils/common/respawn.py', 'ansible/module_utils/embed.py')

# Whoever names these may start such an interpreter (Python 3.14's way of making processes is one, and cloud.common's turbo server, which looks for
# the archive in sys.path); Ansible's own only make threads by them.
_STARTS_PYTHON = re.compile(br'\b(?:multiprocessing|concurrent\.futures|ProcessPoolExecutor|PYTHONPATH|sys\.path\[0)\b')

# What Ansible makes itself for every closure.
_MADE = ('ansible/__init__.py', 'ansible/modules/__init__.py', 'ansible/module_utils/__init__.py')

_REPLACED = b'from ansible.module_utils.basic import *'

# How long a worker waits for what its parent is at. Afterwards it does it itself.
PARENT_SECONDS = 20

_known = {}
_contents = {}
_leaner = {}
_registered = set()
_promised = None


class Closure(object):
    """A module with all that it imports."""

    __slots__ = ('fqn', 'digest', 'manifest', 'files', 'profile', 'interpreter', 'arguments', 'own', 'python2')

    def __init__(self, fqn, profile, interpreter, arguments, files=None, digest=None, own=False, python2=(), archive=False):
        self.fqn = fqn
        self.profile = profile
        self.interpreter = interpreter
        self.arguments = arguments
        self.files = files
        self.manifest = None
        self.digest = digest
        self.own = own  # whether all that the module imports is Ansible's
        if files is not None:
            archive = archive or any(path in files for path in NEED_ARCHIVE)
            self.python2 = () if archive else python2  # an archive may be for another Python than the target's first
            manifest = {'files': {}, 'zip': archive}
            for path, digest_ in files.items():
                manifest.setdefault('python2' if path in self.python2 else 'files', {})[path] = digest_.hex()
            self.manifest = json.dumps(manifest, sort_keys=True, separators=(',', ':')).encode('ascii')
            self.digest = hashlib.sha256(self.manifest).digest()

    def pieces(self):
        """{digest: content} of what every target needs, the manifest first, and of what only Python 2 does.

        Files of one directory are together: they are compressed in that order.
        """
        needed, python2 = {self.digest: self.manifest}, {}
        for path in sorted(self.files, key=lambda path: (path in self.python2, path)):
            digest = self.files[path]
            if digest not in needed:
                (python2 if path in self.python2 else needed)[digest] = _contents[digest]
        return needed, python2


class _Archive(object):
    """As much of a ZipFile as the finder uses."""

    compression = 0

    def __init__(self):
        self.members = {}

    def namelist(self):
        """The names written so far."""
        return list(self.members)

    def writestr(self, member, data):
        """Keep a member."""
        name = getattr(member, 'filename', member)
        if isinstance(name, bytes):
            name = name.decode('utf-8')
        self.members[str.__str__(name)] = data.encode('utf-8') if isinstance(data, str) else bytes(data)


def lookup(name, path, variables=None):
    """The closure of the module at a path; None if it is not of a kind that runs from memory."""
    st = os.stat(path)
    key = _key(name, path)
    stamp = (st.st_mtime_ns, st.st_size)
    found = _known.get(key)
    if found is not None and found[0] == stamp:
        return found[1]
    promise = _promised
    if promise is not None:
        promise.wait()
    built = _recall(key, stamp)
    if built is False:
        built = build(name, path, variables)
        _note(key, stamp, built)
    _known[key] = (stamp, built)
    return built


def known(name, path):
    """Whether the closure of the module at a path was looked up before."""
    return _key(name, path) in _known


def _key(name, path):
    return path, name, tuple(module_utils_loader._get_paths(subdirs=False))


def promised():
    """Whether the parent is at work on closures, after it forked this process."""
    return _promised is not None and _promised.owner != os.getpid()


class Promise(object):
    """A parent's word that it puts closures together while the worker that it forks connects.

    The worker waits for the end of a pipe, which it also sees if the parent is killed.
    """

    def __init__(self):
        global _promised
        self.owner = os.getpid()
        self._lock = threading.Lock()
        self._wait, self._hold = os.pipe()
        _promised = self

    def wait(self):
        """In the worker: wait until the parent is done."""
        global _promised
        with self._lock:  # a worker's threads may all wait
            if not promised():
                return
            os.close(self._hold)
            if not waiting.readable(self._wait, PARENT_SECONDS):
                log.debug('the parent does not get ready with its closures')
            os.close(self._wait)
            _promised = None

    def keep(self):
        """In the parent: it is done."""
        global _promised
        _promised = None
        os.close(self._wait)
        os.close(self._hold)


def build(name, path, variables=None):
    """Find what a module needs, or None."""
    with open(path, 'rb') as f:
        data = f.read()
    interpreter, arguments = compat.extract_interpreter(data)
    if module_common._is_binary(data):
        return None
    if module_common.REPLACER in data:
        data = data.replace(module_common.REPLACER, _REPLACED)
    elif not module_common.NEW_STYLE_PYTHON_MODULE_RE.search(data):
        return None
    legacy = 'ansible.legacy.%s' if compat.HAS_BUILT_MODULE else 'ansible.modules.%s'
    try:
        fqn = module_common._get_ansible_module_fqn(path)
    except ValueError:
        fqn = legacy % name
    archive = _Archive()
    given = {'name': name, 'module_fqn': fqn, 'remote_module_fqn': fqn, 'zf': archive, 'module_path': path}
    if compat.Origin is not None:
        tagged = compat.Origin(path=path).tag(data)
        manager = compat.ExtensionManager.create(task_vars=variables or {})
        if manager.extension_names:
            return None
        given.update(date_time=datetime.datetime.now(datetime.timezone.utc), extension_manager=manager)
    else:
        tagged = data
    metadata = _call(module_common.recursive_finder, compat.FINDER_PARAMETERS, dict(given, module_data=tagged))
    _call(module_common._add_module_to_zip, compat.ADD_MODULE_PARAMETERS, dict(given, b_module_data=data))
    files, stock, own = {}, set(), True
    made = _MADE + (fqn.replace('.', '/') + '.py',)
    for member, content in archive.members.items():
        digest = hashlib.sha256(content).digest()
        if member.startswith('ansible/') and member.endswith('.py'):
            digest, unchanged = _lean(digest, member, content)
            own = own and (unchanged or member in made)
            if unchanged:
                stock.add(member)
        else:
            _contents.setdefault(digest, content)
            own = False
        files[member] = digest
    profile = getattr(metadata, 'serialization_profile', None)
    python2 = fallbacks.only_python2(dict((member, _contents[digest]) for member, digest in files.items()), stock)
    archive = any(_STARTS_PYTHON.search(content) for member, content in archive.members.items() if member not in stock)
    return Closure(fqn, profile, interpreter, arguments, files, own=own, python2=python2, archive=archive)


def _lean(digest, member, content):
    """The digest of what travels of a file, and whether it is Ansible's; modules have most of theirs in common, so it is remembered."""
    found = _leaner.get((digest, member))
    if found is None:
        own = _own(member, content)
        content = leaner.source(content, own)
        found = _leaner[digest, member] = hashlib.sha256(content).digest(), own
        _contents.setdefault(found[0], content)
    return found


def _own(member, content):
    """Whether a file is Ansible's own, and not of somebody whose code may read its docstrings and documentation."""
    if not member.startswith(('ansible/module_utils/', 'ansible/modules/')):
        return False
    try:
        with open(os.path.join(os.path.dirname(ansible.__file__), member[len('ansible/'):]), 'rb') as f:
            return f.read() == content
    except OSError:
        return False


def _call(function, parameters, given):
    """Call a function of module_common with those of its parameters that this version has."""
    return function(**dict((name, given[name]) for name in parameters if name in given))


def register(client, closure, seconds=60):
    """Tell the multiplexer of a closure, and send what it lacks. Each of its answers is waited for as long as is said."""
    needed, python2 = closure.pieces()
    contents = dict(needed)
    contents.update(python2)
    for _ in range(3):
        result = client.call('closure', closure=closure.digest, meta={'python2': len(python2)}, parts=[b''.join(contents)], seconds=seconds)
        if result.status != wire.OK:
            raise client_mod.ClientError('closure: %s' % result.text)
        missing = [result.out[at:at + 32] for at in range(0, len(result.out), 32)]
        if not missing:
            _registered.add(closure.digest)
            _write(closure.digest.hex(), '')
            return
        for digest in missing:
            client.send_blob(digest, contents[digest])
    raise client_mod.ClientError('closure: content was sent, and is still missing')


def registered(closure):
    """Whether the multiplexer was told of a closure in this run."""
    return holds(closure.digest)


def holds(digest):
    """The same, for a closure or several of them by name."""
    if digest and digest not in _registered and os.path.exists(os.path.join(_notes(), digest.hex())):
        _registered.add(digest)
    return digest in _registered


def complete(closure, name, path, variables):
    """A closure with its files, for one that was only recalled by digest."""
    return closure if closure.files is not None else build(name, path, variables)


def _notes():
    """Where processes of this run leave word for each other."""
    return os.path.join(C.DEFAULT_LOCAL_TMP, 'spindle-closures')


def _write(name, text):
    """Leave word there."""
    path = os.path.join(_notes(), name)
    part = '%s.%d.%d' % (path, os.getpid(), threading.get_ident())
    try:
        os.makedirs(_notes(), mode=0o700, exist_ok=True)
        with open(part, 'w') as f:
            f.write(text)
        os.rename(part, path)
    except OSError as e:
        log.debug('not noted: %s' % e)


def _note_name(key):
    return hashlib.sha1(repr(key).encode('utf-8', 'surrogateescape')).hexdigest()


def _note(key, stamp, built):
    """Leave word of a closure for the workers to come, which are not forked from this one."""
    note = {'stamp': stamp}
    if built is not None:
        note.update(fqn=built.fqn, digest=built.digest.hex(), profile=built.profile,
                    interpreter=built.interpreter, arguments=built.arguments, own=built.own)
    _write(_note_name(key), json.dumps(note))


def _recall(key, stamp):
    """What another worker noted: a closure without files, None, or False for nothing."""
    try:
        with open(os.path.join(_notes(), _note_name(key))) as f:
            note = json.load(f)
    except (OSError, ValueError):
        return False
    if tuple(note['stamp']) != stamp:
        return False
    if 'digest' not in note:
        return None
    return Closure(note['fqn'], note['profile'], note['interpreter'], note['arguments'],
                   digest=bytes.fromhex(note['digest']), own=note['own'])
