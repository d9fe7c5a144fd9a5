"""Directories of plugins, listed again only when they have changed.

Releases up to 2.14 look for vars plugins in all their directories whenever they put variables together: six times for each
task of a host, which was a fifth of the controller's time. A directory's own time says whether anything came or went.
"""
import glob
import os
import time

from ansible.plugins import loader as plugin_loader

# A directory that changed so shortly before it was listed may have changed once more within one tick of its clock.
_SETTLED_NS = 2 * 10 ** 9


class Listings(object):
    """Takes the place of the module glob in Ansible's plugin loader."""

    def __init__(self):
        self._found = {}

    def __getattr__(self, name):
        return getattr(glob, name)

    def glob(self, pattern, *args, **kwargs):
        """The files that match a pattern."""
        directory, name = os.path.split(pattern)
        if name != '*.py' or args or kwargs or glob.has_magic(directory):
            return glob.glob(pattern, *args, **kwargs)
        try:
            st = os.stat(directory)
        except OSError:
            return []
        stamp = st.st_mtime_ns, st.st_ino, st.st_dev
        known, listed = self._found.get(directory, (None, None))
        if known == stamp:
            return list(listed)
        now = time.time_ns()
        listed = glob.glob(pattern)
        if now - st.st_mtime_ns > _SETTLED_NS:
            self._found[directory] = stamp, tuple(listed)
        return listed


def install():
    """Put it in; the return value takes it out."""
    if getattr(plugin_loader, 'glob', None) is not glob:
        return lambda: None
    plugin_loader.glob = Listings()

    def remove():
        plugin_loader.glob = glob
    return remove
