# Ansible's code: where it is kept, how it is imported from memory, and what the agent has imported already.


class Store(object):
    """Blobs by digest, held as they came, and what was made of them."""

    def __init__(self):
        self.blobs = {}
        self.bundles = []  # those that nobody has looked into
        self.files = {}  # manifests, as {path: digest}
        self.zipped = {}
        self.codes = {}

    def add(self, digest, size, encoding, body):
        if encoding == ENCODING_BUNDLE:
            self.bundles.append(digest)
        elif hashed(inflate(size, encoding, body)) != digest:
            raise ProtocolError('BLOB: content is not what the digest names')
        self.blobs[digest] = (size, encoding, body)

    def hold(self, content):
        """Keeps content that did not come as a blob of its own; returns its digest."""
        digest = hashed(content)
        self.blobs[digest] = (len(content), ENCODING_RAW, content)
        return digest

    def open(self):
        """Takes out what is in bundles. Those stay, as what is behind may need the same."""
        while self.bundles:
            digest = self.bundles.pop()
            content = inflate(*self.blobs[digest])
            parts = []
            at = 0
            while at < len(content):
                n, = struct.unpack('>I', content[at:at + 4])
                parts.append(self.hold(content[at + 4:at + 4 + n]))
                at += 4 + n
            if hashed(b''.join(parts)) != digest:
                raise ProtocolError('BLOB: content is not what the digest names')

    def sent(self, digest):
        """A blob as it is sent to another agent: what came in a bundle is compressed by itself."""
        if digest not in self.blobs:
            self.open()
        size, encoding, body = self.blobs[digest]
        if encoding == ENCODING_RAW and size > 128:
            self.blobs[digest] = size, encoding, body = (size, ENCODING_ZLIB, zlib.compress(body))
        return size, encoding, body

    def content(self, digest):
        size, encoding, body = self.blobs[digest]
        return zlib.decompress(body) if encoding == ENCODING_ZLIB else body

    def manifest(self, name):
        """The files of a closure. KeyError if a blob of it is missing."""
        digest = unhex(name)
        if digest not in self.files:
            self.open()
            manifest = loads(self.content(digest))
            files = manifest['files']
            if not _WIRE_PY3:
                files.update(manifest.get('python2', {}))
            files = dict((str(path), unhex(d)) for path, d in files.items())
            for d in files.values():
                self.blobs[d]
            self.files[digest] = files
            self.zipped[digest] = bool(manifest.get('zip'))
        return digest

    def code(self, path, digest):
        """The compiled content of a file; compiled once, however many closures have it."""
        key = (path, digest)
        code = self.codes.get(key)
        if code is None:
            content = self.content(digest)
            if path == BASIC and _WIRE_PY3:
                content = spare(content)
            code = compile(content, os.path.join(MODLIB, path), 'exec', 0, True)
            self.codes[key] = code
        return code

    def compile_all(self, files):
        """Compiles a closure's files, one for each step of the generator."""
        for path in sorted(files):
            if path.endswith('.py') and path not in SPARE and (path, files[path]) not in self.codes:
                try:
                    self.code(path, files[path])
                except Exception:
                    pass  # code for another Python, or too much for this one: whoever imports it will be told
                yield


def inflate(size, encoding, body):
    """The content of a blob as it came."""
    if encoding != ENCODING_RAW:
        try:
            body = zlib.decompressobj().decompress(body, size + 1)
        except zlib.error as e:
            raise ProtocolError('BLOB: %s' % e)
    if len(body) != size:
        raise ProtocolError('BLOB: content is not of the size given')
    return body


def spare(content):
    """Ansible's basic.py, made to ask nothing of the process that becomes a program, where that would be nothing: being asked keeps
    Python from vfork (3.10 up), and so makes it copy its tables of pages. For Python 3, which restores SIGPIPE by itself."""
    if b'            if umask:\n                os.umask(umask)\n\n        kwargs' in content:
        content = content.replace(b'preexec_fn=preexec,', b'preexec_fn=preexec if umask else None,')
    return content.replace(b'preexec_fn=self._restore_signal_handlers,', b'preexec_fn=None,')


def unhex(name):
    return bytes(bytearray.fromhex(name))


BASIC = 'ansible/module_utils/basic.py'
# What files imported from memory have for a directory in __file__, until a closure asks for a real one.
MODLIB = '/nonexistent/ansible_payload.zip'


class Finder(object):
    """Imports a closure's files from memory, ahead of whatever is installed.

    It offers what runpy, inspect, linecache and pkgutil ask of a finder and a loader, in both Pythons.
    """

    def __init__(self, store):
        self.store = store
        self.files = {}
        self.modlib = MODLIB
        self.main = None  # the module that runs
        self.archive = None  # a file with all of it, for what is read by way of one; empty if there can be none

    def locate(self, name):
        path = name.replace('.', '/')
        if path + '/__init__.py' in self.files:
            return path + '/__init__.py', True
        if path + '.py' in self.files:
            return path + '.py', False

    def find_spec(self, name, path=None, target=None):
        found = self.locate(name)
        if found:
            filename = self.get_filename(name)
            spec = type(sys.__spec__)(name, self, origin=filename, is_package=found[1])
            spec.has_location = True
            if found[1]:
                spec.submodule_search_locations.append(os.path.dirname(filename))
            return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(module.__name__), module.__dict__)

    def find_module(self, name, path=None):
        return self if self.locate(name) else None

    def load_module(self, name):
        if name in sys.modules:
            return sys.modules[name]
        module = type(sys)(name)
        module.__file__ = self.get_filename(name)
        module.__loader__ = self
        module.__package__ = name
        if self.is_package(name):
            module.__path__ = [os.path.dirname(module.__file__)]
        else:
            module.__package__ = name.rpartition('.')[0]
        sys.modules[name] = module
        try:
            exec(self.get_code(name), module.__dict__)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return sys.modules[name]

    def need(self, name):
        found = self.locate(name)
        if not found:
            raise ImportError('no module named %s' % name)
        return found

    def is_package(self, name):
        return self.need(name)[1]

    def get_filename(self, name):
        return os.path.join(self.modlib, self.need(name)[0])

    def get_code(self, name):
        path = self.need(name)[0]
        return self.store.code(path, self.files[path])

    def get_source(self, name):
        # The running module goes by another name. AnsiballZ's tracebacks lack its lines; ours have them.
        source = self.store.content(self.files[self.need(self.main if name == '__main__' else name)[0]])
        return source.decode('utf-8', 'replace') if _WIRE_PY3 else source

    def get_data(self, path):
        prefix = os.path.join(self.modlib, '')
        try:
            return self.store.content(self.files[path[len(prefix):] if path.startswith(prefix) else path])
        except KeyError:
            raise IOError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def get_resource_reader(self, name):
        """Python's own, of an archive with the same files."""
        path, package = self.need(name)
        if package and self.archive is None:
            self.archive = self.modlib if self.modlib != MODLIB else self.archived()
        if package and self.archive:
            import zipimport
            above = os.path.dirname(os.path.dirname(path))
            return zipimport.zipimporter(os.path.join(self.archive, above)).get_resource_reader(name)

    def archived(self):
        """The files as an archive in memory; or nothing, where that has no path: before Python 3.8, or without Linux's /proc."""
        try:
            fd = os.memfd_create('payload')
        except (AttributeError, OSError):
            return ''
        with os.fdopen(fd, 'wb', closefd=False) as target:
            fill(target, self.store, self.files)
        path = '/proc/self/fd/%d' % fd
        return path if os.path.exists(path) else ''

    def hook(self, path):
        """For sys.path_hooks: pkgutil, and in Python 2 runpy, look for the modules of a package there only."""
        if not path.startswith(self.modlib):
            raise ImportError(path)
        return Place(self, path[len(self.modlib):].strip('/'))


class Place(object):
    """A directory of the finder's."""

    def __init__(self, finder, path):
        self.finder = finder
        self.within = path and path + '/'
        self.find_module = finder.find_module

    def find_spec(self, name, target=None):
        return self.finder.find_spec(name)

    def iter_modules(self, prefix=''):
        found = {}
        for path in self.finder.files:
            name, _, rest = path[len(self.within):].partition('/')
            if path.startswith(self.within):
                if rest == '__init__.py':
                    found[name] = True
                elif not rest and name[-3:] == '.py' and name != '__init__.py':
                    found.setdefault(name[:-3], False)
        return [(prefix + name, found[name]) for name in sorted(found)]


LOADER = 'ansible/module_utils/_internal/_ansiballz/_loader.py'
# What is there for those who lack it: compiled if it is imported.
SPARE = 'ansible/module_utils/compat/_selectors2.py', 'ansible/module_utils/distro/_distro.py'
# What modules import beside basic.py that does nothing when it is imported: it is imported ahead of the fork.
HARMLESS = frozenset('base64 binascii calendar filecmp glob hmac socket zipfile'.split())


class Zygote(object):
    """Keeps the agent warm: what every module of a release imports is imported before the fork."""

    def __init__(self, store):
        self.store = store
        self.finder = Finder(store)
        self.ready = set()  # closures with all code compiled
        self.warmed = None  # {path: digest} of what is imported
        self.fitting = {}  # whether that is what a closure has
        self.optional = None  # what basic.py could have found
        self.libraries = ()  # those that it has brought along, with their versions
        self.trouble = None

    def install(self):
        sys.meta_path.insert(0, self.finder)
        sys.path_hooks.insert(0, self.finder.hook)

    def prepare(self, closures):
        """Compiles and, the first time, imports; a generator, so that the link is served between the steps."""
        for closure in closures:
            files = self.store.files[closure]
            for step in self.store.compile_all(files):
                yield
            if self.warmed is None and BASIC in files:
                self.warmed = {}
                self.warm(files)
            for code in [self.store.codes.get(f) for f in files.items()]:
                for name in HARMLESS.intersection(code.co_names if code else ()):
                    try:
                        __import__(name)
                    except Exception:
                        pass  # it is the module's to complain
                    yield
            flush()
            self.ready.add(closure)

    def warm(self, files):
        names = ['runpy', 'ansible.module_utils.basic']
        if _WIRE_PY3 and 'ansible/modules/__init__.py' in files:  # Python 2 would look in the place that it has now
            names.append('ansible.modules')
        if LOADER in files:
            names += [path[:-3].replace('/', '.') for path in sorted(files)
                      if path == LOADER or '/_json/_profiles/_module_legacy_' in path]
        self.finder.files = files
        if self.finder not in sys.meta_path:
            self.install()
        gc.disable()
        try:
            for name in names:
                __import__(name)
            self.optional = optional()
        except BaseException:
            # What ails it will be said again, to the right ears, when the module runs.
            self.trouble = caught()
            self.purge()
        finally:
            self.warmed = dict(
                (found[0], files[found[0]]) for found in [self.finder.locate(n) for n in list(sys.modules)] if found)
            self.fitting = {}
            self.libraries = [(path, version(path)) for path in libraries()]
            settle()
            flush()
            freeze()

    def outdated(self):
        """Whether what is imported already would have found something else by now."""
        return self.optional not in (None, optional())

    def relinked(self):
        """Whether another version of a library is there than what this process has, which its other parts may not go with."""
        return [1 for path, before in self.libraries if version(path) != before]

    def purge(self):
        for name in list(sys.modules):
            if name.split('.')[0] in ('ansible', 'ansible_collections'):
                del sys.modules[name]

    def fits(self, closure):
        """Whether all that is imported already is what closure has. What is known of that is lost when more is imported."""
        if closure not in self.fitting:
            files = self.store.files[closure]
            self.fitting[closure] = not [1 for path, digest in (self.warmed or {}).items() if files.get(path) != digest]
        return self.fitting[closure]

    def adopt(self, closure, modlib):
        """In a child: makes closure the one that is imported from."""
        if self.finder not in sys.meta_path:
            self.install()
        if not self.fits(closure):
            self.purge()
        self.finder.files = self.store.files[closure]
        self.finder.archive = None
        if modlib:
            self.finder.modlib = modlib
            sys.path.insert(0, modlib)
        if _WIRE_PY3:  # a place that was not there is looked at no more, though it may have come
            for place in [p for p, finder in sys.path_importer_cache.items() if finder is None and os.path.isdir(p)]:
                del sys.path_importer_cache[place]


def libraries():
    """The files of the libraries that this process has, but for Python's own parts: these are told by its program."""
    lines = [line.split(None, 5)[-1] for line in contents(b'/proc/self/maps').split(b'\n') if b'.so.' in line]
    return sorted(set([path for path in lines if path[:1] == b'/' and path[-10:] != b' (deleted)']))


def flush():
    """What was said here is nobody's, and no child is to say it again."""
    for stream in sys.stdout, sys.stderr:
        try:
            stream.flush()
        except Exception:
            pass


def optional():
    """Which of the packages are there that basic.py uses only if they are."""
    found = []
    for name in 'selinux', 'systemd', 'distro':
        try:
            if _WIRE_PY3:
                place = sys.modules['_frozen_importlib_external'].PathFinder.find_spec(name)
            else:
                import imp
                place = imp.find_module(name)
        except ImportError:
            place = None
        found.append(bool(place))
    return found


def settle():
    """Does what every module would do first of all, where nothing of it is left but caches, which the modules' processes find then."""
    if not _WIRE_PY3:
        return
    import _collections_abc as abc
    import _locale
    for kind in (dict, list, bool, int, float, type(None)):
        for base in (abc.Mapping, abc.Sequence, abc.Set):
            issubclass(kind, base)
    # The C library keeps for good what it has read of a language, and that there was nothing to read. So this is for the one language
    # that Python has begun with, and for no other.
    names = set([environ.get(b'LC_ALL') or environ.get(b'LANG')] + [v for n, v in environ.items() if n[:3] == b'LC_'])
    if names == set([wire_bytes(_locale.setlocale(_locale.LC_CTYPE, None))]):
        language = _locale.setlocale(_locale.LC_ALL, None)
        try:
            _locale.setlocale(_locale.LC_ALL, '')
        except _locale.Error:
            pass
        _locale.setlocale(_locale.LC_ALL, language)


def freeze():
    """Keeps the garbage collector of a child from touching, and so copying, every page of the agent. What there is was made by imports, with
    the collector off, as they make next to no garbage: it is not looked for."""
    if hasattr(gc, 'freeze'):
        gc.freeze()
    else:
        gc.collect()
    gc.enable()
