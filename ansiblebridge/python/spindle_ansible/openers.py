"""The opener of urllib, of which a process has one.

Ansible's `open_url` installs the opener that it has made for a request, with its passwords and its TLS settings, and then
has urllib open the request by the one that is installed. Between the two another host's thread may install its own.

Importing urllib takes as long as several tasks, and most need none of it: it is attended to when somebody imports it.
"""
import sys
import threading

_NAME = 'urllib.request'
_own = threading.local()


class _Installed(object):
    """Stands for the one opener: each thread's is the one that it has installed."""

    def __init__(self, library):
        self._library = library
        self._before = library._opener

    def open(self, *args, **kwargs):
        """Open by this thread's opener; by the one from before there were threads, or a plain one, if it has installed none."""
        opener = getattr(_own, 'opener', None) or self._before or self._library.build_opener()
        return opener.open(*args, **kwargs)


def _install(opener):
    _own.opener = opener


def _attend(library):
    library._opener = _Installed(library)
    library.install_opener = _install
    # The name that Ansible's older releases have for it remembers what it has looked up.
    moved = sys.modules.get('ansible.module_utils.six.moves.urllib.request')
    if moved is not None:
        moved.install_opener = _install


class _Watch(object):
    """Finds nothing by itself: lets the others find urllib.request, and sees to it when it was run."""

    def find_spec(self, name, path=None, target=None):
        """The others' answer, of the one name that this is about."""
        if name != _NAME:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self and hasattr(finder, 'find_spec') else None
            if spec is not None:
                spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader(object):
    """Another loader, with something to do behind it."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def exec_module(self, module):
        self._loader.exec_module(module)
        _attend(module)


def part():
    """Give each thread of this process an opener of its own."""
    library = sys.modules.get(_NAME)
    if library is not None:
        _attend(library)
    else:
        sys.meta_path.insert(0, _Watch())
