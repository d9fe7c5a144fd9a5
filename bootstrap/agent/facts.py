# What the agent finds out about its account, once.


def working_directory():
    try:
        return os.getcwdb() if _WIRE_PY3 else os.getcwd()
    except OSError:
        return None


def find_out(candidates, note):
    """The facts for HELLO, with paths as bytes."""
    uid = os.geteuid()
    try:
        account = whose(uid)
        user, home, shell = [wire_bytes(account[i]) for i in (0, 5, 6)]
    except KeyError:
        user, home, shell = str(uid), b'', b''
    tmp, tried = temp_directory(candidates, note)
    return {
        'user': user, 'uid': uid, 'gid': os.getegid(), 'home': home or environ.get(b'HOME') or b'/', 'shell': shell,
        'python': sys.executable or '', 'hostname': os.uname()[1], 'tmp': tmp, 'tmp_tried': tried,
        'env_home': environ.get(b'HOME'), 'encoding': sys.getfilesystemencoding(), 'pythons': pythons(), 'machine': machine(),
    }


def machine():
    """What all have in common whose processes see each other; empty where that cannot be told."""
    try:
        with open('/proc/sys/kernel/random/boot_id') as f:
            return '%s %d' % (f.read().strip(), os.stat('/proc/self/ns/pid').st_ino)
    except (OSError, IOError):
        return ''


def whose(uid):
    """The account's record: where several names share a number, that of the name which has logged in."""
    import pwd
    name = os.environ.get('LOGNAME') or os.environ.get('USER')  # perhaps of somebody who has become us since
    if name:
        try:
            account = pwd.getpwnam(name)
            if account[2] == uid:
                return account
        except (KeyError, ValueError):
            pass
    return pwd.getpwuid(uid)


def pythons():
    """What a module may say in its first line to have this Python."""
    found = [sys.executable or '']
    if getattr(sys, 'base_prefix', sys.prefix) != sys.prefix:  # others have other packages, though it is one program
        return found
    own, versions = os.path.realpath(found[0]), [str(sys.version_info[0]), '%d.%d' % sys.version_info[:2]]
    for name in ['/usr/libexec/platform-python'] + ['%s/python%s' % (place, v) for v in versions for place in ('/usr/bin', '/usr/local/bin')]:
        if name not in found and os.path.realpath(name) == own:
            found.append(name)
    for v in versions:
        for place in os.environ.get('PATH', os.defpath).split(':'):
            path = os.path.join(place, 'python' + v)
            if os.access(path, os.X_OK):
                if os.path.realpath(path) == own:
                    found.append('/usr/bin/env python' + v)
                break
    return found


def temp_directory(candidates, note):
    """The first directory that temporary files can be made in, and all that were looked at until then."""
    names = [wire_bytes(c) for c in candidates]
    names += [environ.get(name) for name in (b'TMPDIR', b'TEMP', b'TMP')]
    names += [b'/tmp', b'/var/tmp', b'/usr/tmp', working_directory()]
    tried = []
    for name in names:
        if name:
            path = os.path.expanduser(name)
            if b'$' in path:
                path = os.path.expandvars(path)
            if path in tried:
                continue
            tried.append(path)
            try:
                make_parents(path, 0o700, note)
                if not os.path.isdir(path):
                    os.mkdir(path, 0o700)
                    note(b'B' + path)
                probe = os.path.join(path, b'.ansible_mitogen_probe-%d' % os.getpid())
                note(b'F' + probe)
                try:
                    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                    os.chmod(probe, 0o700)
                finally:
                    remove(probe, False)
                    note(b'f' + probe)
                return path, tried
            except (OSError, ValueError, TypeError):
                pass
    return None, tried
