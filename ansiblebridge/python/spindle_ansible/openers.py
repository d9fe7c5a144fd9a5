"""The opener of urllib, of which a process has one.

Ansible's `open_url` installs the opener that it has made for a request, with its passwords and its TLS settings, and then
has urllib open the request by the one that is installed. Between the two another host's thread may install its own.
"""
import threading
import urllib.request

_own = threading.local()


class _Installed(object):
    """Stands for the one opener: each thread's is the one that it has installed."""

    def __init__(self, before):
        self._before = before

    def open(self, *args, **kwargs):
        """Open by this thread's opener; by the one from before there were threads, or a plain one, if it has installed none."""
        opener = getattr(_own, 'opener', None) or self._before or urllib.request.build_opener()
        return opener.open(*args, **kwargs)


def _install(opener):
    _own.opener = opener


def part():
    """Give each thread of this process an opener of its own."""
    urllib.request._opener = _Installed(urllib.request._opener)
    urllib.request.install_opener = _install
    try:
        from ansible.module_utils.urls import urllib_request  # six's, in older releases: it remembers what it has looked up
    except ImportError:
        return
    urllib_request.install_opener = _install
