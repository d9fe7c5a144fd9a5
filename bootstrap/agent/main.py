# From the first stage to the loop.


def main(packed):
    """Splits into the warden, which is the process that somebody waits for, and the agent, which has the link."""
    cwd = working_directory()
    signals = []
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD):
        handler = signal.getsignal(number)
        signals.append((number, signal.SIG_DFL if handler is None else handler))
    # A terminal that is hung up, or an interrupt typed there, is not how an agent ends. TERM is.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    records = pipe(0)
    life = pipe(0)
    fcntl.fcntl(records[1], fcntl.F_SETFL, os.O_NONBLOCK)
    agent = os.fork()
    for fd in (records[1], life[0]) if agent else (records[0], life[1]):
        close(fd)
    rfd, wfd = -1, -1
    if not agent:
        os.setsid()
        rfd, wfd = hold(os.dup(0), True), hold(os.dup(1), True)
    null = os.open(DEVNULL, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
    try:
        os.chdir('/')
    except OSError:
        pass
    if agent:
        warden(agent, records[0])
    serve(rfd, wfd, records[1], life[0], cwd, packed, signals)


def serve(rfd, wfd, records, life, cwd, packed, signals):
    """The agent's life. It cleans up behind itself if it can, and whatever ends it, the warden makes sure."""
    flags = [(fd, fcntl.fcntl(fd, fcntl.F_GETFL)) for fd in (rfd, wfd)]
    fcntl.fcntl(wfd, fcntl.F_SETFL, flags[1][1] | os.O_NONBLOCK)
    link = Link(rfd, wfd, records, life, cwd, packed, signals)

    def stop(number, frame):
        link.stopping = 'terminated'
    signal.signal(signal.SIGTERM, stop)
    code = 1
    try:
        code = link.run()
    finally:
        try:
            # Others may have these descriptors, and not expect that they do not block.
            for fd, old in flags:
                fcntl.fcntl(fd, fcntl.F_SETFL, old)
            link.end()
        finally:
            os._exit(code)


main(bytes(d))
