#!/usr/bin/python3
"""A stand-in for the multiplexer, for tests of the Python half without the Go half.

It speaks the bridge protocol and runs everything on this machine, in subprocesses. sudo
hops are done with sudo -n. It keeps no connections: a context is a name for how to run.
It is a test tool and nothing else.
"""
import base64
import hashlib
import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
for place in (ROOT, os.path.join(ROOT, 'spindle_ansible'), os.path.join(ROOT, '..', '..', 'transports', 'wire')):
    if os.path.exists(os.path.join(place, 'spindle_wire.py')):
        sys.path.insert(0, place)
        break
import spindle_wire as wire  # noqa: E402

RUNNER = r'''
import sys, os, json, runpy, inspect
archive, fqn, profile, args, secrets = sys.argv[1:6]
sys.argv = ['']
sys.path = [p for p in sys.path if p not in ('', '.')]
sys.path.insert(0, archive)
args = open(args, 'rb').read()
secrets = json.loads(secrets)
if profile:
    from ansible.module_utils._internal._ansiballz import _loader
    kw = dict(json_params=args, profile=profile, module_fqn=fqn, modlib_path=archive, extensions={})
    if 'secrets' in inspect.signature(_loader.run_module).parameters:
        kw['secrets'] = frozenset(secrets or ())
    _loader.run_module(**kw)
else:
    from ansible.module_utils import basic
    basic._ANSIBLE_ARGS = args
    runpy.run_module(mod_name=fqn, init_globals=dict(_module_fqn=fqn, _modlib_path=archive), run_name='__main__',
                     alter_sys=True)
print('{"msg": "New-style module did not handle its own exit", "failed": true}')
sys.exit(1)
'''

LOCK = threading.Lock()
BLOBS = {}
CLOSURES = set()
CONTEXTS = {}
COUNTS = {}
WORK = tempfile.mkdtemp(prefix='fake-mux-')


def note(op):
    with LOCK:
        COUNTS[op[:2]] = COUNTS.get(op[:2], 0) + 1
        log = os.environ.get('FAKE_MUX_LOG')
        if log:
            with open(log, 'a') as f:
                f.write(json.dumps(op) + '\n')


def hello_of(user, candidates):
    entry = pwd.getpwnam(user)
    python = None
    for candidate in candidates:
        python = shutil.which(candidate.split()[0])
        if python:
            break
    return {'user': user, 'uid': entry.pw_uid, 'gid': entry.pw_gid, 'home': entry.pw_dir, 'cwd': entry.pw_dir,
            'shell': entry.pw_shell, 'python': python, 'hostname': 'fake', 'tmp': '/tmp', 'tmp_tried': [],
            'agent': '00'}


class Fault(Exception):
    """An answer that is not OK."""

    def __init__(self, status, text, errno=0):
        Exception.__init__(self, text)
        self.status = status
        self.errno = errno


def prefix(context):
    user = context['user']
    if pwd.getpwnam(user).pw_uid == os.getuid():
        return []
    return ['sudo', '-n', '-H', '-u', user, '--']


FILE_OPS = r'''
import sys, os, json, shutil, base64, stat
ops = json.load(sys.stdin)
out = []
try:
    for op in ops:
        name, path, res = op['op'], op['path'], None
        if name == 'mkdir':
            os.mkdir(path, op.get('mode', 448))
        elif name == 'write':
            with open(path, 'wb') as f:
                f.write(base64.b64decode(op['content']))
            if op.get('mode') is not None:
                os.chmod(path, op['mode'])
            if op.get('mtime') is not None:
                os.utime(path, (op.get('atime', op['mtime']), op['mtime']))
        elif name == 'remove':
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.lexists(path):
                os.unlink(path)
        elif name == 'chmod':
            mode = op['mode']
            if isinstance(mode, int):
                os.chmod(path, mode)
            elif os.system("chmod '%s' '%s'" % (mode, path)):
                raise OSError(1, 'chmod failed', path)
        elif name == 'chown':
            shutil.chown(path, op.get('user'), op.get('group'))
        elif name == 'exists':
            res = os.path.exists(path)
        elif name == 'expanduser':
            res = os.path.expanduser(path)
        elif name == 'rename':
            os.rename(path, op['dest'])
        out.append(res)
except OSError as e:
    sys.stderr.write('%s %s: %s' % (name, e.filename or path, e.strerror))
    sys.exit(9)
json.dump(out, sys.stdout)
'''


def run_files(context, ops, data):
    if os.environ.get('FAKE_MUX_TRACE'):  # nothing is done, then
        return b'[]', data[sum(op['size'] for op in ops if op['op'] == 'write'):]
    prepared = []
    for op in ops:
        op = dict(op)
        if op['op'] == 'write':
            content, data = data[:op['size']], data[op['size']:]
            op['content'] = base64.b64encode(content).decode()
        prepared.append(op)
    done = subprocess.run(prefix(context) + [sys.executable, '-c', FILE_OPS], input=json.dumps(prepared).encode(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise Fault(wire.STATUS_ERROR, done.stderr.decode() or 'files failed')
    return done.stdout, data


def environment(meta):
    env = dict(os.environ)
    for key, value in (meta.get('env') or {}).items():
        if value is None:
            env.pop(key, None)
        else:
            env[key] = value
    return env


def run(context, argv, meta, data, tty=False):
    done = subprocess.run(prefix(context) + argv, input=data, env=environment(meta),
                          cwd=meta.get('cwd') or context['hello']['cwd'], start_new_session=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT if tty else subprocess.PIPE)
    out = done.stdout.replace(b'\n', b'\r\n') if tty else done.stdout
    return done.returncode, out, done.stderr or b''


def run_module(context, meta, data, closure):
    archive = os.path.join(WORK, closure.hex() + '.zip')
    with LOCK:
        if not os.path.exists(archive):
            manifest = json.loads(BLOBS[closure])
            with zipfile.ZipFile(archive, 'w') as zf:
                for path, digest in manifest['files'].items():
                    zf.writestr(path, BLOBS[bytes.fromhex(digest)])
        os.chmod(WORK, 0o755)
    fd, args = tempfile.mkstemp(dir=WORK)
    os.write(fd, data)
    os.fchmod(fd, 0o644)
    os.close(fd)
    try:
        python = context['hello']['python'] or sys.executable
        return run(context, [python, '-c', RUNNER, archive, meta['fqn'], meta.get('profile') or '', args,
                             json.dumps(meta.get('secrets'))], meta, b'')
    finally:
        os.unlink(args)


def trace(entry):
    """Leave word of what was run, for tests that compare it."""
    path = os.environ.get('FAKE_MUX_TRACE')
    if path:
        with LOCK, open(path, 'a') as f:
            f.write(json.dumps(entry, sort_keys=True) + '\n')


def pretend(meta, data):
    """The answer of a module that is not run, where a test says what modules find: paths name it, /nowhere/FINDS/..."""
    args = json.loads(data.decode())['ANSIBLE_MODULE_ARGS']
    kind = args.get('path') or args.get('dest') or ''
    if not kind.startswith('/nowhere/'):
        return None
    kind = kind.split('/')[2]
    if not meta['fqn'].endswith('.stat'):
        return {'changed': True, 'dest': args.get('dest'), 'state': 'absent' if args.get('_diff_peek') else 'file'}
    if kind == 'trouble':
        return {'failed': True, 'msg': 'Permission denied'}
    stat_ = {'exists': True, 'isdir': False, 'islnk': False, 'isreg': True}
    if kind == 'absent':
        return {'stat': {'exists': False}}
    if kind == 'directory' and not args['path'].endswith('/plain'):
        stat_.update(isdir=True, isreg=False)
    elif kind in ('link', 'link_same') and not args['follow']:
        stat_.update(islnk=True, isreg=False, lnk_source='/else/where')
    elif kind in ('same', 'link_same') and args['get_checksum']:
        with open(os.environ['FAKE_MUX_SUMS']) as f:
            stat_['checksum'] = json.load(f).get(args['path'].rsplit('/to-', 1)[-1], 'unknown')
    elif kind != 'unreadable' and args['get_checksum']:
        stat_['checksum'] = '0' * 40
    return {'changed': False, 'stat': stat_}


def module(context, meta, data, closure):
    """Run a module, or pretend to."""
    trace({'fqn': meta['fqn'], 'args': json.loads(data.decode())['ANSIBLE_MODULE_ARGS'], 'pre': meta.get('pre') or [], 'env': meta.get('env')})
    answer = pretend(meta, data)
    if answer is None:
        return run_module(context, meta, data, closure)
    return 0, json.dumps(answer).encode(), b''


def leads_to(step, rc, out):
    """What the agent makes of an answer: the index of a step, or None; and whether that was foreseen."""
    if not step.get('next'):
        return None, True
    try:
        answer = json.loads(out.decode())
        if rc or answer.get('failed'):
            return None, False
        for index, tests in step['next']:
            if all((answer['stat'].get(key, '') == value) == same for key, same, value in tests):
                return index, True
    except (ValueError, KeyError):
        pass
    return None, False


def plainly(rc, out):
    """What the agent asks of a module in a chain that is strict."""
    try:
        answer = json.loads(out.decode())
        return b'\\ud' not in out.lower() and not (rc or answer.get('failed') or answer.get('rc') or 'ansible_facts' in answer)
    except (ValueError, AttributeError):
        return False


def composite(context, meta, data):
    """Several modules, each by what the one before has answered."""
    begins, at = [], 0
    for step in meta['steps']:
        begins.append(at)
        at += step['size'] + sum(op['size'] for op in step.get('pre') or () if op['op'] == 'write')
    told, count, turn = b'', 0, 0
    while turn is not None:
        step, entry = meta['steps'][turn], {'step': turn}
        count += 1
        _, rest = run_files(context, step.get('pre') or (), data[begins[turn]:])
        common = dict((key, meta[key]) for key in ('env', 'cwd') if key in meta)
        if not turn:
            common['pre'] = meta.get('pre')
        rc, out, err = module(context, dict(step, **common), rest[:step['size']], bytes.fromhex(step['manifest']))
        turn, foreseen = leads_to(step, rc, out)
        if turn is None and meta.get('chain', [])[2:] and not plainly(rc, out):
            foreseen = False
        run_files(context, step.get('post') or (), b'')
        entry.update(rc=rc, out=len(out), err=len(err), done=True, next=turn)
        told += json.dumps(entry).encode() + b'\n' + out + err
    trace({'composite': count})
    return int(not foreseen), told, b''


def connect(meta):
    user = pwd.getpwuid(os.getuid()).pw_name
    names, hellos = [], []
    for hop in meta['hops']:
        kwargs = hop['kwargs']
        if kwargs.get('hostname', '').startswith('unreachable'):
            raise Fault(wire.STATUS_UNREACHABLE, 'Connection timed out.')
        if hop['method'] == 'sudo':
            user = kwargs['username']
            if user == 'nobody-at-all':
                raise Fault(wire.STATUS_FAILED, 'error occurred on host fake: sudo password is incorrect')
        name = 'ctx-%d-%s' % (len(names), hashlib.sha1(json.dumps([hop, names], sort_keys=True).encode()).hexdigest())
        hello = hello_of(user, hop['python'])
        CONTEXTS[name] = {'user': user, 'hello': hello}
        names.append(name)
        hellos.append(hello)
    return json.dumps({'context': names[-1], 'path': '/' + '/'.join(names), 'hello': hellos[-1],
                       'login': {'context': names[0], 'hello': hellos[0]}, 'how': 'fake'}).encode()


class Worker(threading.Thread):
    """One connection of a worker."""

    def __init__(self, sock):
        threading.Thread.__init__(self, daemon=True)
        self.sock = sock
        self.decoder = wire.Decoder()
        self.chains = {}  # by name, the number that comes next; none where one has ended

    def frame(self):
        while True:
            found = self.decoder.next()
            if found:
                return found
            data = self.sock.recv(262144)
            if not data:
                return None
            self.decoder.feed(data)

    def run(self):
        try:
            while True:
                found = self.frame()
                if found is None:
                    return
                self.handle(*found)
        except (OSError, ValueError):
            pass
        finally:
            self.sock.close()

    def handle(self, kind, id, header, body):
        if kind == wire.HELLO:
            self.sock.sendall(wire.pack(wire.READY, 0, (int(os.environ.get('FAKE_MUX_PROTO', wire.PROTO)), os.getpid(),
                                                        '0', 0), b'{}'))
        elif kind == wire.BLOB:
            if hashlib.sha256(body).digest() == header[0]:
                BLOBS[bytes(header[0])] = bytes(body)
        elif kind == wire.CALL:
            op, context, closure, meta_len, timeout, flags = header
            meta = json.loads(body[:meta_len].decode() or '{}')
            data = bytes(body[meta_len:])
            if flags & wire.FLAG_MORE:
                data += self.more(id)
            name, number, strict = (meta.get('chain') or [None, 0])[:2] + [meta.get('chain', [])[2:]]
            try:
                if name and self.chains.get(name, 0) != number:
                    note(('refused', '', number))
                    raise Fault(wire.STATUS_STALE, 'not begun', 67)
                if meta.get('beside') and not os.environ.get('FAKE_MUX_APART') and os.stat(meta['beside'][0]).st_ino == meta['beside'][1]:
                    note(('refused', '', number))
                    raise Fault(wire.STATUS_STALE, 'not begun: it has read a file that is here, too', 17)
                note((op, context[:5], number if name else None))
                rc, out, err = self.answer(op, context, bytes(closure), meta, data)
                status, errno, text = wire.STATUS_OK, 0, ''
            except Fault as e:
                rc, out, err, status, errno, text = 0, b'', b'', e.status, e.errno, str(e)
            well = not status and not (op == 'composite' and rc) and (op != 'module' or not strict or plainly(rc, out))
            self.chains[name] = number + 1 if well else None
            if flags & wire.FLAG_NOREPLY:
                return
            out = self.spill(id, 1, out) if len(out) + len(err) > wire.INLINE_MAX else out
            self.sock.sendall(wire.pack(wire.RESULT, id, (status, rc, len(out), len(err), errno, text), out + err))

    def more(self, id):
        data = []
        while True:
            kind, _, header, body = self.frame()
            if kind == wire.EOF:
                return b''.join(data)
            data.append(bytes(body))
            self.sock.sendall(wire.pack(wire.CREDIT, id, (0, len(body))))

    def spill(self, id, channel, out):
        window = wire.WINDOW_INITIAL
        while len(out) > 1000:
            while window <= 0:
                kind, _, header, _ = self.frame()
                if kind == wire.CREDIT:
                    window += header[1]
            piece = out[:min(window, wire.CHUNK_MAX)]
            out = out[len(piece):]
            window -= len(piece)
            self.sock.sendall(wire.pack(wire.DATA, id, (channel,), piece))
        return out

    def answer(self, op, name, closure, meta, data):
        if op == 'connect':
            return 0, connect(meta), b''
        if op == 'closure':
            digests = [data[at:at + 32] for at in range(0, len(data), 32)]
            missing = [d for d in digests if d not in BLOBS]
            if not missing:
                CLOSURES.add(closure)
            return 0, b''.join(missing), b''
        if op == 'expect':
            return 0, b'', b''
        if op == 'stats':
            return 0, json.dumps(dict((k[0], v) for k, v in COUNTS.items())).encode(), b''
        if op == 'retire':
            return 0, b'', b''
        if op == 'reset':
            if not name:
                raise Fault(wire.STATUS_ERROR, 'no context')
            return 0, b'', b''
        context = CONTEXTS.get(name)
        if context is None:
            raise Fault(wire.STATUS_UNREACHABLE, 'the respondent Context has disconnected')
        if op in ('module', 'composite') and closure not in CLOSURES:
            raise Fault(wire.STATUS_UNKNOWN_CLOSURE, '')
        if meta.get('pre'):
            _, data = run_files(context, meta['pre'], data)
        if op == 'files':
            return 0, run_files(context, meta['ops'], data)[0], b''
        if op == 'exec':
            argv = meta.get('argv') or [context['hello']['shell'], '-c', meta['command']]
            return run(context, argv, meta, data, meta.get('tty'))
        if op == 'module':
            return module(context, meta, data, closure)
        if op == 'composite':
            return composite(context, meta, data)
        if op == 'put':
            st = os.stat(meta['src'])
            with open(meta['src'], 'rb') as f:
                content = f.read()
            write = {'op': 'write', 'path': meta['dest'], 'size': len(content), 'mode': meta['mode']}
            if meta['times']:
                write.update(mtime=st.st_mtime, atime=st.st_atime)
            run_files(context, [write], content)
            return 0, b'', b''
        if op == 'get':
            done = subprocess.run(prefix(context) + ['cat', meta['src']], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
            if done.returncode:
                raise Fault(wire.STATUS_ERROR, 'get %s: failed' % meta['src'])
            with open(meta['dest'], 'wb') as f:
                f.write(done.stdout)
            return 0, b'', b''
        raise Fault(wire.STATUS_ERROR, 'unknown op %s' % op)


def main():
    if sys.argv[1] != 'serve' or os.environ.get('FAKE_MUX_FAIL'):
        sys.exit('spindle: unknown command')
    path = sys.argv[sys.argv.index('--socket') + 1]
    lifeline = socket.socket(fileno=int(sys.argv[sys.argv.index('--lifeline') + 1]))
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    os.chmod(path, stat.S_IRUSR | stat.S_IWUSR)
    server.listen(128)

    def accept():
        while True:
            Worker(server.accept()[0]).start()

    threading.Thread(target=accept, daemon=True).start()
    lifeline.sendall(b'ready\n')
    while lifeline.recv(1):
        pass
    os.unlink(path)
    shutil.rmtree(WORK, ignore_errors=True)


if __name__ == '__main__':
    main()
