"""Copies that are begun ahead: which files of the controller they may look at before their turn.

A file that is copied may be one that an item ahead of it is yet to write: the target can be the
controller, or see its files, by whatever name. All paths may differ then, but not the name of the
file. So an item waits for its turn ahead of looking for a file whose name is that of one which is on
its way. decisions/0017 says why that is enough.
"""
import os

from ansible.module_utils.common.text.converters import to_bytes

from spindle_ansible import flight

# With these, a copy does more to the target than put one file in the place of another.
_DOES_MORE = frozenset(('validate', 'unsafe_writes'))
# With these, to have copied a file once too often cannot be made good by copying it again.
_ONCE = frozenset(('force', 'backup'))


def look(action, find, directory, independent=None):
    """An item is going to look for its source, by find; independent is asked about its text, if that is a template."""
    item = _ahead()
    if item is None:
        return
    needle = action._task.args.get('src')
    name = os.path.basename(('%s' % (needle,)).rstrip('/'))
    strict = item.flight.strict
    # What a task does is not known, so it has to be made sure when it has ended that what those behind it have seen has not changed.
    if not name or (_strictly(action, item) if strict else
                    _DOES_MORE & set(action._task.args) or any(name in other.names for other in item.others())):
        item.wait()
        return
    try:
        path = to_bytes(find(directory, needle), errors='surrogate_or_strict')
        plain = os.path.isfile(path) and not os.path.islink(path) and (independent is None or independent(item, path))
        if plain and strict:
            item.check = _unchanged(lambda: to_bytes(find(directory, needle), errors='surrogate_or_strict'), path)
            item.beside = flight.place(os.path.dirname(path))
    except Exception:  # the action will meet it again
        plain = False
    if not plain:
        ahead = item.others()
        item.wait()
        if ahead and not strict:
            raise flight.Again()  # its text may look at their results, which the variables that it began with lack
    item.looked = True


def _strictly(action, item):
    """Whether a task has to wait for its turn, since a source that turns out to have changed would be too late to know."""
    return item.flight.shares or action._connection.spindle_method == 'local' or _ONCE & set(action._task.args)


def _unchanged(find, path):
    """A function that says whether a source is still found where it is now, as it is now."""
    def stamp():
        st = os.stat(path)
        return st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns
    before = stamp()

    def check():
        try:
            return find() == path and stamp() == before
        except Exception:
            return False
    return check


def write(dest, source, content, private):
    """An item is going to copy a file; private: nobody can have changed that."""
    item = flight.item()
    if item is None:
        return
    if item.flight.strict:
        # The action looks at its source once more when it was answered, and tasks may do whatever to it; a template may have to be written once more.
        item.last = not private or item.check is not None
    else:
        name = os.path.basename(dest) or os.path.basename(source)
        # One that was changed meanwhile is copied once more, and then the other one would have to wait for that.
        if not item.first and any(name in other.names and not (private and other.private) for other in item.others()):
            item.wait()
        item.names, item.private = frozenset((name,)), private
    if item.first or content is not None:
        item.looked = True


def independent(item, path):
    """Whether a template's file looks at nothing that what is ahead could change."""
    st = os.stat(path)
    key = path, st.st_mtime_ns, st.st_size
    if key not in item.templates:
        with open(path, 'rb') as f:
            item.templates[key] = item.scan.file(f.read())
    return item.templates[key]


def _ahead():
    item = flight.item()
    if item is None:
        return None
    if item.first:
        item.looked = True  # in its turn
        return None
    return item
