# Running a Python module of Ansible's, in the child that was forked for it.


def do_module(meta, box, link):
    """The op `module`. Everything ahead of conclude() is ours, and fails as a file operation would."""
    get_ready(box, link)
    closure = link.store.manifest(meta['manifest'])
    args = []
    while not args or args[-1]:
        args.append(box.read(CHUNK_MAX))
    return perform(meta, closure, archived(closure, box, link), b''.join(args), box, link)


def get_ready(box, link):
    """Makes this process what a Python would be that was started for a module."""
    link.language.enter()
    follow_home(link.facts)
    tmp = link.facts['tmp']
    if tmp and not os.path.isdir(tmp):  # another agent of the account has made it, and has removed it when it ended
        try:
            make_parents(tmp + b'/x', 0o700, box.note)
        except OSError:  # whoever needs it will say so
            pass


def archived(closure, box, link):
    """The path of the closure as a file, for modules that need one."""
    if link.store.zipped[closure]:
        try:
            return write_zip(link.store, closure, link.home, box)
        except (OSError, IOError) as e:
            raise failure('zip', e.filename or link.home, e)


def perform(meta, closure, modlib, args, box, link, last=True):
    """Makes the process the module's, and runs it; returns the exit status.

    Without a box the process is ours again afterwards, and if this is not the last, another module's."""
    null = os.open(DEVNULL, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    if meta.get('rlimit_nofile'):
        limit_files(meta['rlimit_nofile'])
    if box:
        box.leave()
    link.zygote.adopt(closure, modlib)
    return conclude(last, run_module, meta, link.zygote.finder, args)


def run_module(meta, finder, args):
    """Runs the module as AnsiballZ would have. The resolver's state (res_init) needs no care: every task is a fork."""
    fqn = str(meta['fqn'])
    finder.main = fqn
    sys.argv = ['']
    from ansible.module_utils import basic  # first, as it knows what to say to a Python that is too old
    if LOADER in finder.files:
        from ansible.module_utils._internal._ansiballz import _loader
        keywords = {'json_params': args, 'profile': str(meta.get('profile') or 'legacy'), 'module_fqn': fqn,
                    'modlib_path': finder.modlib, 'extensions': {}, 'init_globals': None}
        code = _loader.run_module.__code__
        if 'secrets' in code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]:
            keywords['secrets'] = frozenset(meta.get('secrets') or ())
        _loader.run_module(**keywords)
    else:
        import runpy
        basic._ANSIBLE_ARGS = args
        runpy.run_module(fqn, {'_module_fqn': fqn, '_modlib_path': finder.modlib}, '__main__', True)
    print('{"msg": "New-style module did not handle its own exit", "failed": true}')
    sys.exit(1)


def limit_files(number):
    """Has this process open so many files, if it may; returns the limits that there were."""
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    set_files(number if hard == resource.RLIM_INFINITY else min(hard, number), hard)
    return soft, hard


def set_files(soft, hard):
    import resource
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    except ValueError:  # macOS does not always mean its hard limit
        return
    # Python 2's subprocess has counted when it was imported, and closes that many descriptors.
    subprocess = sys.modules.get('subprocess')
    if hasattr(subprocess, 'MAXFD'):
        subprocess.MAXFD = soft


def write_zip(store, closure, home, box):
    """The closure as a file, for modules which hand themselves to another interpreter. Made once per agent."""
    name = os.path.join(home, b'payload-%s.zip' % b''.join([b'%02x' % n for n in bytearray(closure[:8])]))
    if not os.path.exists(name):
        box.note(b'D' + home)
        make_parents(name, 0o700, box.note)
        mine = name + b'.%d' % os.getpid()
        path = wire_text(name)
        fill(wire_text(mine), store, store.files[closure], {'sitecustomize.py': ('import sys\nsys.path.insert(0, %r)\n' % path).encode()})
        os.rename(mine, name)
    return wire_text(name)


def fill(target, store, files, more=()):
    """Writes an archive: files of the store, by their digests, and more, by their content."""
    import zipfile
    archive = zipfile.ZipFile(target, 'w')
    contents = dict((path, store.content(digest)) for path, digest in files.items())
    contents.update(more)
    for path in sorted(contents):
        # A date of its own, since zip knows none before 1980 and clocks do.
        archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), contents[path])
    archive.close()


def exit_status(e):
    """What Python makes of a SystemExit."""
    code = e.code
    if code is None:
        return 0
    if isinstance(code, _WIRE_INTS):
        return code
    try:
        sys.stderr.write('%s\n' % (code,))
    except Exception:  # it is closed, say
        pass
    return 1


def complain():
    """Prints the traceback of what nobody has caught, with lines of source, and without our own frames; returns the exit status."""
    kind, value, trace = sys.exc_info()
    code = 130 if kind is KeyboardInterrupt and sys.version_info >= (3, 8) else 1  # later ones end by the signal
    try:
        if sys.excepthook is not sys.__excepthook__:
            try:
                sys.excepthook(kind, value, trace)
                return code
            except SystemExit as e:  # the file module of some releases answers in its hook, and so ends there
                return exit_status(e)
            except BaseException as e:
                if getattr(e, '__context__', None) is value:
                    e.__context__ = None
                sys.stderr.write('Error in sys.excepthook:\n')
                tell(*sys.exc_info())
                sys.stderr.write('\nOriginal exception was:\n')
        tell(kind, value, trace)
    except Exception:  # nobody can be told
        pass
    return code


def tell(kind, value, trace):
    """Prints a traceback without our own frames, in the words of this Python."""
    while trace.tb_next and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    import traceback
    if sys.version_info >= (3, 12) or sys.version_info >= (3, 11) and not issubclass(kind, (NameError, AttributeError)):
        return traceback.print_exception(kind, value, trace)
    # This library of older ones names the class otherwise than they do, without its module, and knows no suggestions, which take a trace.
    # They print no source that is in no file.
    lines = traceback.format_exception(kind, value, trace)
    last = traceback.format_exception_only(kind, value)
    sys.stderr.write(''.join(lines[:-len(last)]))
    if not _WIRE_PY3:
        return sys.__excepthook__(kind, value, None)
    import io
    value.__cause__ = value.__context__ = None
    said, sys.stderr = sys.stderr, io.StringIO()
    try:
        sys.__excepthook__(kind, value, trace)
        lines = sys.stderr.getvalue().splitlines(True)
    finally:
        sys.stderr = said
    sys.stderr.write(''.join(lines[-''.join(last).count('\n'):]))


def own_files(e):
    """The files that the names of a module lead to which has ended by this exception. Python closes them at its end, and so writes what they
    hold. (Python 2 has done so by now, with the module.)"""
    import _io
    found = []
    try:
        while e:
            trace = e.__traceback__
            while trace:
                names = trace.tb_frame.f_globals
                if names is not globals() and names.get('__name__') == '__main__':
                    for value in list(names.values()):
                        if isinstance(value, (list, tuple, set)):
                            inner = value
                        elif isinstance(value, (type, type(sys), type(own_files))):
                            continue
                        else:
                            inner = [value] + list((value if isinstance(value, dict) else getattr(value, '__dict__', {})).values())
                        found += [one for one in inner if issubclass(type(one), _io._IOBase)]
                    return [one for one in found if one not in (sys.__stdin__, sys.__stdout__, sys.__stderr__)]
                trace = trace.tb_next
            e = e.__context__
    except Exception:  # whatever the module has put there
        pass
    return found


def conclude(last, function, *args):
    """Calls function and does what Python does at its end, unless that is not the last one; returns the exit status."""
    import atexit
    code, known, files = 0, None if last else atexit._ncallbacks(), ()
    try:
        function(*args)
    except SystemExit as e:
        files = last and own_files(e)
        code = exit_status(e)
    except BaseException as e:
        files = last and own_files(e)
        code = complain()
    try:
        if last and 'threading' in sys.modules:
            sys.modules['threading']._shutdown()
        if last or atexit._ncallbacks() != known:
            atexit._run_exitfuncs()
    except SystemExit as e:
        if not _WIRE_PY3:  # later ones say nothing, and their status stays
            code = exit_status(e)
    except BaseException:
        complain()
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):  # also those that the module has put others in the place of
        try:
            stream.flush()
        except Exception:
            pass
    for stream in files or ():
        try:
            stream.close()
        except Exception:
            pass
    if last and writes():
        gc.collect()
    return code & 0xff


def writes():
    """Whether a file is open still: what refers to itself has it, as gzip's in Python 3.12, and its end comes with a collection, as Python's own
    end has one."""
    import stat
    try:
        numbers = [int(name) for name in os.listdir('/dev/fd')]
    except (OSError, ValueError):
        return True
    for fd in numbers:
        try:
            if fd > 2 and stat.S_ISREG(os.fstat(fd).st_mode):
                return True
        except OSError:  # it was for the list
            pass
    return False
