# What a forked child does before it becomes a program, a module or a file operation.


def fork(link, fds, control, task, wait=None):
    """Forks. The child has its own session, fds (None: /dev/null) as 0-2 and nothing else of ours but wait, and runs task."""
    pid = os.fork()
    if pid:
        return pid
    code, box = 255, Box((link.warden, control))
    try:
        signal.set_wakeup_fd(-1)
        for number, handler in link.signals:
            signal.signal(number, handler)
        # While it is our code that runs, being told to end must not leave half a file behind.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        os.setsid()
        if link.files:
            set_files(*link.files)  # what we have allowed ourselves is nobody else's
        # The warden hears of this group from here, and nothing is done before. Where the agent has ended meanwhile, the
        # warden may not have listened any more; where it has not, the warden will read this when it has.
        record(link.warden, b'G%d' % os.getpid())
        if os.getppid() != link.pid:
            return 0
        for target, fd in enumerate(fds):
            if fd is not None:
                os.dup2(fd, target)
        for fd in HELD:
            if fd not in box.books and fd != wait:
                os.close(fd)
        try:
            code = task(box) or 0
        except Failure as e:
            box.fail([e.status, e.number, e.words])
    except SystemExit as e:
        code = e.code
    except BaseException:
        box.fail([STATUS_FAULT, 0, caught()])
    finally:
        os._exit(code)


def record(fd, words):
    """Writes one record; whoever does not listen any more has reasons."""
    try:
        os.write(fd, words + b'\0')
    except OSError:
        pass


def enter(meta, link):
    """Environment and umask of the task, and the directory that the account's programs start in."""
    link.login.renew()
    for name, value in (meta.get('env') or {}).items():
        name = wire_bytes(name)
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = wire_bytes(value)
    # Also if no variable says another one now: the zone of the machine may be another one. The C library looks at it if the variable's text is new.
    zone = environ.get(b'TZ')
    environ[b'TZ'] = b'UTC0'
    time.tzset()
    if zone is None:
        del environ[b'TZ']
    else:
        environ[b'TZ'] = zone
    time.tzset()
    if sys.version_info < (3, 7) and 'random' in sys.modules:
        sys.modules['random'].seed()  # as later releases do in each fork
    if meta.get('umask') is not None:
        os.umask(meta['umask'])
    for path in (link.cwd, link.facts['home'], b'/'):
        try:
            return os.chdir(path)
        except OSError:
            pass


def change_directory(path):
    if path:
        path = wire_bytes(path)
        try:
            os.chdir(path)
        except (OSError, ValueError, TypeError) as e:
            raise failure('chdir', path, e)


def execute(argv, called=None):
    """Becomes another program, which may be told another name than its file's."""
    argv = [wire_bytes(a) for a in argv]
    for name in ('SIGPIPE', 'SIGXFSZ', 'SIGXFZ'):  # Python ignores them, for itself
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execvp(argv[0], [called or argv[0]] + argv[1:])
    except (OSError, ValueError, TypeError) as e:
        raise failure('exec', argv[0], e)


def login_shell(facts):
    """Accounts that nobody may log in to have a shell that runs nothing; others run commands for them all the same."""
    shell = facts['shell'] or b'/bin/sh'
    return b'/bin/sh' if os.path.basename(shell) in (b'nologin', b'false') else shell


def do_files(meta, box, link):
    write_all(1, dumps(file_ops(meta['ops'], box)).encode())


def do_exec(meta, box, link):
    command = meta.get('command')
    if command is None:
        return execute(meta['argv'])
    shell = login_shell(link.facts)
    return execute([shell, '-c', command], os.path.basename(shell))  # as sshd calls it, which is in the shell's errors


OPS = {'files': do_files, 'exec': do_exec, 'module': do_module, 'composite': do_composite, 'put': do_put, 'get': do_get}
