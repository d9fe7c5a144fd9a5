# What a login gives an account, and whether another login would give it something else by now.

ENVIRONMENT_FILES = b'/etc/environment', b'~/.pam_environment'
ACCOUNT_FILES = b'/etc/passwd', b'/etc/group'
# What sudo, su, doas, PAM and the shells that they start go by. A directory tells of files that come, go or are replaced.
LOGIN_FILES = (b'/etc/environment /etc/login.defs /etc/profile /etc/profile.d /etc/sudoers /etc/sudoers.d /etc/doas.conf /etc/pam.d '
               b'/etc/security /etc/security/limits.d ~/.profile ~/.bash_profile ~/.bash_login ~/.bashrc ~/.zshenv ~/.zprofile '
               b'~/.pam_environment').split()


class Stale(Failure):
    """Nothing was done: another login is wanted first."""

    status = STATUS_STALE


class Login(object):
    """The state of these files when the agent was started. watch: 0 nothing, 1 the account's own record, 2 all."""

    def __init__(self, facts, watch):
        self.user = wire_bytes(facts['user'])
        self.watched = [self.path(name, facts) for name in LOGIN_FILES] if watch > 1 else []
        self.databases = ACCOUNT_FILES if watch else ()
        # Where nothing else is watched, their variables are taken over without another login.
        self.sources = [self.path(name, facts) for name in ENVIRONMENT_FILES] if watch < 2 else []
        self.given = [(stamp(path), contents(path)) for path in self.sources]
        self.state = self.look()

    def path(self, name, facts):
        return facts['home'] + name[1:] if name[:1] == b'~' else name

    def look(self):
        return [stamp(p) for p in self.watched], [stamp(p) for p in self.databases], self.record()

    def record(self):
        """The account's own line, and the groups that have it as a member."""
        found = []
        for path in self.databases:
            for line in contents(path, -1).split(b'\n'):
                fields = line.split(b':')
                if path == ACCOUNT_FILES[0] and fields[0] == self.user:
                    found.append(line)
                elif path != ACCOUNT_FILES[0] and self.user in fields[-1].split(b','):
                    found.append(fields[2:3])
        return found

    def stale(self):
        """Whether another login would be another one. Asked in a child, as a file system may be slow to answer."""
        watched, databases, record = self.state
        return ([stamp(p) for p in self.watched] != watched
                or [stamp(p) for p in self.databases] != databases and self.record() != record)

    def renew(self):
        """Takes over what was changed in the files of variables: as a login would, but for what was set by others."""
        for path, (when, before) in zip(self.sources, self.given):
            if stamp(path) == when:
                continue
            now = contents(path)
            if now == before:
                continue
            for name, value in variables(before):
                if environ.get(name) == value:
                    del environ[name]
            for name, value in variables(now):
                if name not in environ:
                    environ[name] = value


def stamp(path):
    if not os.access(path, os.F_OK):  # most are not there, and an exception is dear in a new process
        return None
    try:
        st = os.stat(path)
    except OSError:
        return None
    return st.st_mtime, st.st_ctime, st.st_size, st.st_ino


def contents(path, limit=1 << 20):
    try:
        with open(path, 'rb') as f:
            return f.read(limit)
    except (OSError, IOError):
        return b''


def variables(raw):
    """What a file of variables says: lines as a shell reads them, with or without `export`."""
    import shlex
    found = []
    for line in raw.decode('latin-1').split(u'\n'):
        try:
            words = shlex.split(line if _WIRE_PY3 else line.encode('latin-1'), True)
        except ValueError:  # a quote that is not closed
            continue
        if words[:1] == ['export']:
            del words[0]
        name, equals, value = (words or [''])[0].partition('=')
        if name and equals:
            found.append(tuple([w.encode('latin-1') if _WIRE_PY3 else w for w in (name, value)]))
    return found
