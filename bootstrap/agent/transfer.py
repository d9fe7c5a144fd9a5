# Whole files, in and out. The destination is old or new at any time, never something between.


def receive(path, size, times, box, op='write', digest=False, sync=False):
    """Takes size bytes of the input, and their digest if one follows, into the file at path."""
    # A temporary directory that was just made goes as a whole, and what is in it needs no entry of its own.
    note = box.note if os.path.dirname(path) not in box.fresh else lambda words: None
    path = os.path.realpath(path)
    mode = times.get('mode')
    hasher = sha256(size) if digest else None
    try:
        old = os.stat(path).st_mode
    except OSError:
        old = None
    if old is not None and old & 0o170000 not in (0o100000, 0o040000):
        # A device or a pipe cannot be replaced, it is written to.
        temp = None
        fd = os.open(path, os.O_WRONLY)
    else:
        temp, fd = hidden_file(os.path.dirname(path), note)
    try:
        left = begun = size
        while left:
            data = box.read(left)
            if not data:
                break
            left -= len(data)
            if hasher:
                hasher.update(data)
            write_all(fd, data)
            if sync and begun - left >= WRITEBACK:
                write_back(fd, size - begun, begun - left)
                begun = left
        want = b''
        while hasher and len(want) < 32:
            data = box.read(32 - len(want))
            if not data:
                break
            want += data
        if left or hasher and want != hasher.digest():
            raise Failure(0, "transfer of '%s' was interrupted." % wire_text(path))
        if temp is None:
            return
        if mode is None:
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask if old is None else old
        os.chmod(temp, mode & 0o7777)
        if times.get('mtime') is not None:
            atime = times.get('atime')
            os.utime(temp, (times['mtime'] if atime is None else atime, times['mtime']))
        if sync:
            os.fsync(fd)
        os.rename(temp, path)
        note(b'f' + temp)
        temp = None
        if sync:
            sync_directory(os.path.dirname(path))
    finally:
        os.close(fd)
        if temp is not None:
            remove(temp, False)
            note(b'f' + temp)


# How much is written before the disk is set to work on it.
WRITEBACK = 8 << 20


def write_back(fd, start, size):
    """Has the system begin to store what was written, so that fsync() finds little left to wait for.

    Advice that the pages are not needed has that effect, and drops no page that is not stored yet.
    """
    try:
        os.posix_fadvise(fd, start, size, os.POSIX_FADV_DONTNEED)
    except (AttributeError, OSError):  # Python 2, or not Linux: it all waits for fsync(), then
        pass


def hidden_file(directory, note):
    """A new file in directory that only we can read."""
    while True:
        name = ''.join(['%02x' % n for n in bytearray(os.urandom(4))])
        temp = os.path.join(directory, b'.ansible_mitogen_transfer-' + name.encode() + b'.tmp')
        note(b'F' + temp)
        try:
            return temp, os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, 'O_NOFOLLOW', 0), 0o600)
        except OSError as e:
            note(b'f' + temp)
            if e.errno != errno.EEXIST:
                raise


def sync_directory(path):
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError:  # not every file system knows how; the rename has happened
        pass


def do_put(meta, box, link):
    dest = wire_bytes(meta['dest'])
    try:
        receive(dest, meta['size'], meta, box, 'put', True, meta.get('sync', True))
    except (OSError, IOError, ValueError, TypeError) as e:
        raise failure('put', dest, e)


def do_get(meta, box, link):
    path = wire_bytes(meta['path'])
    try:
        send(path)
    except (OSError, IOError, ValueError, TypeError) as e:
        raise failure('get', path, e)


def send(path):
    """Writes the file at path to the output: a line of JSON, the content, its digest."""
    st = os.stat(path)
    if st.st_mode & 0o170000 != 0o100000:
        raise Failure(errno.EISDIR if st.st_mode & 0o170000 == 0o040000 else errno.EINVAL,
                      "'%s' is not a regular file." % wire_text(path))
    fd = os.open(path, os.O_RDONLY)
    try:
        st = os.fstat(fd)
        size = st.st_size
        head = b''
        if size <= CHUNK_MAX:  # files of /proc and /sys do not know their size, so what they hold is what counts
            head = opening(fd, size)
            size = len(head)
        hasher = sha256(size)
        write_all(1, (dumps({'size': size, 'mode': st.st_mode & 0o7777, 'mtime': st.st_mtime, 'atime': st.st_atime})
                      + '\n').encode())
        left = size
        while left:
            data = head or os.read(fd, min(left, CHUNK_MAX))
            head = b''
            if not data:
                raise Failure(0, "transfer of '%s' was interrupted." % wire_text(path))
            left -= len(data)
            hasher.update(data)
            write_all(1, data)
        write_all(1, hasher.digest())
    finally:
        os.close(fd)


def opening(fd, said):
    """What a small file holds; of one that grows meanwhile not much more than it had, unless it says of itself that it is empty."""
    pieces, held = [], 0
    while not said or held < CHUNK_MAX:
        data = os.read(fd, CHUNK_MAX)
        if not data:
            break
        pieces.append(data)
        held += len(data)
    return b''.join(pieces)
