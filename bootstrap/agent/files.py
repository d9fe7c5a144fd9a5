# File operations. They run in children only, since any file system may hang.
#
# Paths are bytes everywhere: what a locale makes of them is none of our business.


class Box(object):
    """What a child has to work with: its input, and the books to be kept."""

    held = None  # what was read ahead of the input, once all of it was

    def __init__(self, books):
        self.books = books
        self.fresh = set()  # temporary directories that this child has made

    def note(self, words):
        """Writes one record into the ledgers of the warden and of the agent."""
        for fd in self.books:
            record(fd, words)

    def fail(self, how):
        """Tells the agent why nothing came of it. Nobody is told by whom code that is not ours was run: the number may be a file's by now."""
        for fd in self.books[1:]:
            record(fd, b'E' + dumps(how).encode())

    def leave(self):
        """Lets go of the books, ahead of code that is not ours."""
        for fd in self.books:
            os.close(fd)
        self.books = ()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def read(self, size):
        """Up to size bytes of the call's input, at least one unless it has ended."""
        if self.held is not None:
            data, self.held = self.held[:size], self.held[size:]
            return data
        while True:
            try:
                return os.read(0, min(size, CHUNK_MAX))
            except OSError as e:
                if e.errno != errno.EINTR:
                    raise


def file_ops(ops, box):
    """Does the operations in order; the first Failure ends them."""
    return [FILE_OPS[str(op['op'])](op, wire_bytes(op['path']), box) for op in ops]


def guarded(function):
    """Turns errors of the system into Failures that name the operation and the path."""
    name = function.__name__[3:]

    def run(op, path, box):
        try:
            return function(op, path, box)
        except (OSError, IOError, ValueError, TypeError, OverflowError) as e:
            raise failure(name, path, e)
    return run


def make_parents(path, mode, note):
    """Creates the missing directories above path; those of a private directory are noted, and go when empty."""
    parent = os.path.dirname(path.rstrip(b'/'))
    if not parent or os.path.isdir(parent):
        return
    make_parents(parent, mode, note)
    try:
        os.mkdir(parent, mode)
    except OSError as e:
        if e.errno != errno.EEXIST:
            raise
    else:
        if mode == 0o700:
            note(b'B' + parent)


def op_mkdir(op, path, box):
    temp = op.get('temp')
    mode = op.get('mode')
    mode = 0o700 if mode is None else mode
    if temp or op.get('parents'):
        make_parents(path, 0o700 if temp or op.get('mode') == 0o700 else 0o777, box.note)
    if temp:
        box.note(b'D' + path)
    try:
        try:
            os.mkdir(path, mode)
        except OSError as e:
            if e.errno != errno.ENOENT or not temp:
                raise
            make_parents(path, 0o700, box.note)  # another agent has removed what it had made, and what was there just before
            os.mkdir(path, mode)
        os.chmod(path, mode)  # whatever the umask says
    except OSError as e:
        if temp:
            box.note(b'd' + path)
        if not (e.errno == errno.EEXIST and op.get('parents') and os.path.isdir(path)):
            raise
    else:
        if temp:
            box.fresh.add(path)


def op_write(op, path, box):
    receive(path, op['size'], op, box)


def op_remove(op, path, box):
    remove(path, op.get('recursive'))
    box.note(b'd' + path)


def op_chmod(op, path, box):
    mode = op['mode']
    if not isinstance(mode, _WIRE_INTS):
        mode = str(mode)
        mode = int(mode, 8) if mode.isdigit() else symbolic_mode(mode, os.stat(path).st_mode)
    os.chmod(path, mode)


def op_chown(op, path, box):
    ids = []
    for key, module, function in (('user', 'pwd', 'getpwnam'), ('group', 'grp', 'getgrnam')):
        name = op.get(key)
        if name is not None and not isinstance(name, _WIRE_INTS):
            try:
                name = getattr(__import__(module), function)(str(name))[2]
            except KeyError:
                if not name.isdigit():
                    raise Failure(errno.EINVAL, 'chown %s: no such %s: %s' % (wire_text(path), key, name))
                name = int(name)
        ids.append(-1 if name is None else name)
    os.chown(path, *ids)


def op_exists(op, path, box):
    return os.path.exists(path)


def op_stat(op, path, box):
    try:
        st = os.stat(path) if op.get('follow') else os.lstat(path)
    except OSError as e:
        if e.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        return None
    return dict((k[3:], getattr(st, k)) for k in dir(st) if k.startswith('st_'))


def op_expanduser(op, path, box):
    return os.path.expanduser(path)


def op_rename(op, path, box):
    os.rename(path, wire_bytes(op['dest']))


FILE_OPS = dict((f.__name__[3:], guarded(f)) for f in (
    op_mkdir, op_write, op_remove, op_chmod, op_chown, op_exists, op_stat, op_expanduser, op_rename))


def symbolic_mode(words, old):
    """The mode that chmod(1) would make of old (a whole st_mode) by words such as `u+rwX,go-w`."""
    mask = os.umask(0)
    os.umask(mask)
    mode = old & 0o7777
    for clause in words.split(','):
        who = clause[:len(clause) - len(clause.lstrip('ugoa'))]
        clause = clause[len(who):]
        if clause[:1] not in tuple('+-='):
            raise ValueError('invalid mode: %s' % words)
        reach = 0
        for c in who or 'a':
            reach |= {'u': 0o4700, 'g': 0o2070, 'o': 0o1007, 'a': 0o7777}[c]
        while clause:
            sign, clause = clause[0], clause[1:]
            size = len(clause) - len(clause.lstrip('rwxXstugo'))
            bits = 0
            for c in clause[:size]:
                if c in 'ugo':
                    bits |= (mode >> {'u': 6, 'g': 3, 'o': 0}[c] & 7) * 0o111
                elif c == 'X':
                    if old & 0o170000 == 0o040000 or mode & 0o111:
                        bits |= 0o111
                else:
                    bits |= {'r': 0o444, 'w': 0o222, 'x': 0o111, 's': 0o6000, 't': 0o1000}[c]
            clause = clause[size:]
            if clause and clause[0] not in '+-=':
                raise ValueError('invalid mode: %s' % words)
            bits &= reach if who else reach & ~mask
            if sign == '+':
                mode |= bits
            elif sign == '-':
                mode &= ~bits
            else:
                # A directory keeps its set-id bits unless they are named, as with GNU's.
                mode = mode & ~(reach & (0o1777 if old & 0o170000 == 0o040000 else 0o7777)) | bits
    return mode
