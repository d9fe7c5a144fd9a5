# What a login gives an account, and whether another login would give it something else by now.

ENVIRONMENT_FILES = b'/etc/environment', b'~/.pam_environment'
ACCOUNT_FILES = b'/etc/passwd', b'/etc/group'
# What a process reads once, and its forks go by: the C library's languages and sources of names, and OpenSSL's settings.
PROCESS_FILES = (b'/usr/lib/locale/locale-archive /etc/nsswitch.conf /etc/ssl/openssl.cnf /etc/pki/tls/openssl.cnf '
                 b'/etc/crypto-policies/back-ends/opensslcnf.config').split()
# What a shell reads for each command that sshd has it run: ~/.bashrc often leads to /etc/profile.d. A directory's own times tell of files
# that come, go or are replaced.
SHELL_FILES = (b'/etc/bashrc /etc/bash.bashrc /etc/zshenv /etc/zsh/zshenv /etc/csh.cshrc /etc/profile.d /etc/fish/config.fish /etc/fish/conf.d '
               b'~/.bashrc ~/.bashrc.d ~/.zshenv ~/.cshrc ~/.tcshrc ~/.config/fish/config.fish ~/.config/fish/conf.d ~/.ssh/environment').split()
# What sudo, su, doas, PAM and the shells that they start go by. Of these directories each file is looked at.
LOGIN_FILES = (b'/etc/environment /etc/default/locale /etc/locale.conf /etc/login.defs /etc/profile /etc/sudoers /etc/doas.conf '
               b'~/.profile ~/.bash_profile ~/.bash_login ~/.zprofile ~/.pam_environment').split() + SHELL_FILES
LOGIN_DIRECTORIES = b'/etc/profile.d /etc/sudoers.d /etc/pam.d /etc/security /etc/security/limits.d'.split()


# What Python (3.7 up, and what some vendors have made of 3.6) goes by when it starts, and what it then puts into LC_CTYPE: PEP 538.
LANGUAGE = b'LC_ALL', b'LC_CTYPE', b'LANG', b'PYTHONCOERCECLOCALE'
COERCED = 'C.UTF-8', 'C.utf8', 'UTF-8'


class Language(object):
    """What the agent's Python has made of LC_CTYPE for itself. Nothing that is started here is to have it, unless a Python of its own would, too."""

    def __init__(self, before):
        """Puts LC_CTYPE back to what it was before that Python was started."""
        now = environ.get(b'LC_CTYPE') or b''
        self.coerced = now if now != before and text(now) in COERCED else None
        if self.coerced:
            del environ[b'LC_CTYPE']
            if before:
                environ[b'LC_CTYPE'] = before
        self.known = self.look()

    def look(self):
        return [environ.get(name) for name in LANGUAGE]

    def enter(self):
        """Makes of LC_CTYPE, in a module's process, what a Python would that was started with these variables."""
        found = self.coerced if self.look() == self.known else self.coerce()
        if found:
            environ[b'LC_CTYPE'] = found

    def coerce(self, own=''):
        if sys.version_info < (3, 7) and not self.coerced or environ.get(b'LC_ALL') or environ.get(b'PYTHONCOERCECLOCALE') == b'0':
            return None
        import _locale

        def sets(name):
            try:
                return _locale.setlocale(_locale.LC_CTYPE, name) != 'C'
            except _locale.Error:  # there is no such language, and C is what Python begins with
                return False
        before = _locale.setlocale(_locale.LC_CTYPE, None)
        found = [] if sets(own) else [name.encode() for name in COERCED if sets(name)]
        sets(before)
        return found and found[0]


def follow_home(facts):
    """Looks for an account's own packages where a Python would that was started with the HOME of now."""
    site = sys.modules.get('site')
    if environ.get(b'HOME') == facts['env_home'] or not getattr(site, 'ENABLE_USER_SITE', None):
        return
    before = site.getusersitepackages()
    site.USER_SITE = site.USER_BASE = None
    if not _WIRE_PY3:  # it remembers both, too
        sys.modules['sysconfig']._CONFIG_VARS = None
    now = site.getusersitepackages()
    rest = [path for path in sys.path if path != before and not path.startswith(before + '/')]
    at = min([sys.path.index(path) for path in [before] + site.getsitepackages() if path in sys.path] or [len(rest)])
    sys.path[:] = rest
    if os.path.isdir(now):
        site.addsitedir(now)  # at the end, with what its .pth files name
    sys.path[:] = rest[:at] + sys.path[len(rest):] + rest[at:]


class Stale(Failure):
    """Nothing was done: another login is wanted first."""

    status = STATUS_STALE


class Login(object):
    """The state of these files when the agent was started. watch: 0 nothing, 1 the account's own record, 2 all."""

    def __init__(self, facts, watch, zygote):
        self.zygote = zygote
        self.user = wire_bytes(facts['user'])
        names = LOGIN_FILES if watch > 1 else SHELL_FILES if watch else ()
        self.watched = [self.path(name, facts) for name in names]
        self.directories = LOGIN_DIRECTORIES if watch > 1 else ()
        self.databases = ACCOUNT_FILES if watch else ()
        # Where nothing else is watched, their variables are taken over without another login.
        self.sources = [self.path(name, facts) for name in ENVIRONMENT_FILES] if watch < 2 else []
        self.given = [(stamp(path), contents(path)) for path in self.sources]
        # The Python that runs this, by its program and its library, which may be replaced.
        self.process = PROCESS_FILES + [sys.executable or '', getattr(os, '__file__', None) or '']
        self.sites = packages()
        self.state = self.look()

    def path(self, name, facts):
        return facts['home'] + name[1:] if name[:1] == b'~' else name

    def look(self):
        return ([stamp(p) for p in self.watched], [entries(p) for p in self.directories], [stamp(p) for p in self.databases], self.record(),
                [version(p) for p in self.process], [(stamp(p), additions(p)) for p in self.sites])

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
        watched, directories, databases, record, process, sites = self.state
        return ([stamp(p) for p in self.watched] != watched
                or [entries(p) for p in self.directories] != directories
                or [stamp(p) for p in self.databases] != databases and self.record() != record
                or [version(p) for p in self.process] != process or self.zygote.relinked()
                or any(self.adds(path, *before) for path, before in zip(self.sites, sites)))

    def adds(self, path, when, before):
        """Whether Python would find other places there now to import from: a directory that was not there, or what its .pth files name."""
        return stamp(path) != when and (additions(path) != before or self.zygote.outdated()) or [(n, stamp(n)) for n, _ in before or ()] != (before or [])

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


def version(path):
    """What tells one version of a file from another, however its file system numbers them."""
    found = stamp(path)
    return found and (found[0], found[2])


def entries(path):
    """A directory with all in it."""
    try:
        names = os.listdir(path)
    except OSError:
        return None
    return stamp(path), sorted([(n, stamp(os.path.join(path, n))) for n in names])


def packages():
    """Where Python looks for packages, and for files that name more such places."""
    site = sys.modules.get('site')
    found = list(getattr(site, 'getsitepackages', list)())
    if getattr(site, 'ENABLE_USER_SITE', None):
        found.append(site.getusersitepackages())
    return found


def additions(path):
    """The files there that name more places, or None if there is no such directory."""
    try:
        names = os.listdir(path)
    except OSError:
        return None
    return [(n, stamp(n)) for n in sorted([os.path.join(path, n) for n in names if n.endswith('.pth')])]


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
