# Several modules in one call, each run or not by what the one before it has answered: the op `composite`.


def do_composite(meta, box, link):
    """Runs the first step, and then whatever each answer leads to. When one has ended, a line says how, ahead of all that it wrote.

    Returns 1 if it has ended where that was not foreseen, so that whoever asked has to ask on."""
    get_ready(box, link)
    pieces = []
    while not pieces or pieces[-1]:
        pieces.append(box.read(CHUNK_MAX))
    data = b''.join(pieces)
    steps, begins, at = meta['steps'], [], 0
    for step in steps:
        begins.append(at)
        at += step['size'] + sum([op['size'] for op in step.get('pre') or () if op['op'] == 'write'])
    # What one module is told of limits and secrets stays with its process.
    alike = not [1 for step in steps for key in ('rlimit_nofile', 'secrets') if step.get(key) != steps[0].get(key)]
    turn, foreseen = 0, True
    while turn is not None:
        step = steps[turn]
        box.held = data[begins[turn]:]
        entry, wrote = {'step': turn}, ()
        turn = None
        try:
            file_ops(step.get('pre') or (), box)
            closure = link.store.manifest(step['manifest'])
            modlib = archived(closure, box, link)
            run = here if alike and step.get('tidy') and not modlib and link.zygote.fits(closure) else apart
            entry['rc'], out, err = run(step, closure, modlib, box.held[:step['size']], box, link)
            wrote = out, err
            entry['out'], entry['err'] = len(out), len(err)
            turn, foreseen = follow(step, entry['rc'], out)
            if turn is None and strict(meta) and not plainly(entry['rc'], out):
                foreseen = False
            file_ops(step.get('post') or (), box)
            entry['done'] = True
        except Failure as e:
            entry['error'] = [e.status, e.number, e.words]
            turn, foreseen = None, False
        entry['next'] = turn
        write_all(1, dumps(entry).encode() + b'\n' + b''.join(wrote))
    return 0 if foreseen else 1


def here(step, closure, modlib, args, box, link):
    """Runs a module in this process, which must be as it was if another one follows; returns what apart() does.

    Only for modules that are known to end by sys.exit(), and to leave nothing behind but what is put right here."""
    try:
        mend = step.get('next') and order()
        files = [os.memfd_create(name) for name in ('out', 'err')]
    except (AttributeError, OSError):  # before Python 3.8, or not Linux
        return apart(step, closure, modlib, args, box, link)
    streams = [os.dup(fd) for fd in (1, 2)]
    handler = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        for i in (0, 1):
            os.dup2(files[i], i + 1)
        code = perform(step, closure, modlib, args, None, link, not mend)
    finally:
        signal.signal(signal.SIGTERM, handler)
        for i in (0, 1):
            os.dup2(streams[i], i + 1)
            os.close(streams[i])
    if mend:
        mend()
    wrote = [os.pread(fd, os.fstat(fd).st_size, 0) for fd in files]
    for fd in files:
        os.close(fd)
    return code, wrote[0], wrote[1]


def order():
    """Looks at what a module may change in its process; returns what puts it right."""
    import _locale
    place = os.open(b'.', os.O_PATH)
    mask = os.umask(0)
    os.umask(mask)
    variables = dict(environ)
    names = 'argv', 'path', 'stdin', 'stdout', 'stderr', 'excepthook', 'displayhook'
    values = [getattr(sys, name) for name in names]
    path = sys.path[:]
    language = _locale.setlocale(_locale.LC_ALL, None)
    handlers = [(number, signal.getsignal(number)) for number in range(1, 32)]

    def mend():
        os.fchdir(place)
        os.close(place)
        os.umask(mask)
        if dict(environ) != variables:
            environ.clear()
            environ.update(variables)
        for name, value in zip(names, values):
            setattr(sys, name, value)
        sys.path[:] = path
        if _locale.setlocale(_locale.LC_ALL, None) != language:
            _locale.setlocale(_locale.LC_ALL, language)
        for number, handler in handlers:
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        # What a module is to say at its end is kept here.
        kept = vars(sys.modules.get('ansible.module_utils.common.warnings', sys))
        for name in ('_global_warnings', '_global_deprecations'):
            kept.get(name, []).clear()
    return mend


def apart(step, closure, modlib, args, box, link):
    """Runs a module in a child of its own, as every module is run; returns its exit status and what it wrote."""
    ends = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        code = 255
        try:
            for i in (0, 1):
                os.dup2(ends[i][1], i + 1)
                os.close(ends[i][0])
                os.close(ends[i][1])
            code = perform(step, closure, modlib, args, box, link)
        except SystemExit as e:
            code = e.code
        except BaseException:
            write_all(2, caught().encode('utf-8', 'replace'))
        finally:
            os._exit(code)
    poller = select.poll()
    texts = {}
    for mine, theirs in ends:
        os.close(theirs)
        texts[mine] = []
        poller.register(mine, select.POLLIN)
    opened, status = 2, None
    while opened:
        # Whoever keeps a pipe open beyond the module's end delays little.
        ready = quietly(poller, 100 if status is None else 0)
        for fd, events in ready:
            texts[fd].append(os.read(fd, CHUNK_MAX))
            if not texts[fd][-1]:
                poller.unregister(fd)
                opened -= 1
        if not ready:
            if status is not None:
                break
            ended, status = os.waitpid(pid, os.WNOHANG)
            status = status if ended else None
    if status is None:
        status = os.waitpid(pid, 0)[1]
    for mine, theirs in ends:
        os.close(mine)
    rc = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return rc, b''.join(texts[ends[0][0]]), b''.join(texts[ends[1][0]])


def follow(step, rc, out):
    """The step that a module's answer leads to, or None; and whether that was foreseen. What is not plainly an answer leads nowhere."""
    if not step.get('next'):
        return None, True
    try:
        answer = loads(out)
        if rc or answer.get('failed'):
            return None, False
        found = answer['stat']
        for turn, tests in step['next']:
            if not [1 for key, same, value in tests if (found.get(key, '') == value) != same]:
                return turn, True
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return None, False
