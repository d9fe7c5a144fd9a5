"""File operations that wait for the next call to ride in.

A temporary directory, a small file and its mode cost no round trip of their own:
they are queued, and go as the `pre` operations of the next call to the same
account. Their failure is that call's failure.
"""


class Queue(object):
    """Operations for one account, in order, with the content of the writes."""

    def __init__(self):
        self.context = None
        self.ops = []
        self.contents = []

    def __bool__(self):
        return bool(self.ops)

    def add(self, context, op, content=None):
        """Queue an operation. The queue must be empty or for the same context."""
        self.context = context
        self.ops.append(op)
        if content is not None:
            self.contents.append(content)

    def clear(self):
        """Forget everything: it was done, or nobody needs it any more."""
        self.context = None
        self.ops = []
        self.contents = []

    def drop_below(self, path):
        """Forget what was queued for a tree. True if that includes the making of its top.

        Then nothing of it exists on the target, and nothing is left to be removed.
        """
        top = any(op['op'] == 'mkdir' and op['path'] == path for op in self.ops)
        if not top:
            return False
        kept, contents = [], []
        remaining = iter(self.contents)
        for op in self.ops:
            content = next(remaining) if op['op'] == 'write' else None
            if op['path'] == path or op['path'].startswith(path.rstrip('/') + '/'):
                continue
            kept.append(op)
            if content is not None:
                contents.append(content)
        self.ops, self.contents = kept, contents
        if not kept:
            self.context = None
        return True


def mkdir(path, temp=False):
    """Make a directory of the account's own, and those above it that are missing; a temporary one goes with the agent at the latest."""
    return {'op': 'mkdir', 'path': path, 'mode': 0o700, 'temp' if temp else 'parents': True}


def write(path, content, mode=None, times=None):
    """Write a file of the given content."""
    op = {'op': 'write', 'path': path, 'size': len(content)}
    if mode is not None:
        op['mode'] = mode
    if times is not None:
        op['atime'], op['mtime'] = times
    return op


def remove(path):
    """Remove a tree; it need not exist."""
    return {'op': 'remove', 'path': path, 'recursive': True}


def chmod(path, mode):
    """Change a mode, given as a number or as chmod(1) takes it."""
    return {'op': 'chmod', 'path': path, 'mode': mode}


def chown(path, user=None, group=None):
    """Change owner or group, by name or number."""
    return {'op': 'chown', 'path': path, 'user': user, 'group': group}
