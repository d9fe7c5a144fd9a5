"""Prints what modules need, as JSON: {module: {"fqn", "files": {path: base64}}}. Runs where ansible-core is installed.

Ansible's own dependency finder is asked, whatever its version; it writes into something that only looks like a zip file.
"""
import base64
import datetime
import inspect
import json
import multiprocessing.synchronize
import sys
import threading
import zipfile

# Old releases make a lock that processes share, which needs /dev/shm. Here is one process.
multiprocessing.synchronize.Lock = lambda *args, **kwargs: threading.Lock()

from ansible.executor import module_common
from ansible.plugins.loader import module_loader

try:
    from ansible.plugins.loader import init_plugin_loader
    init_plugin_loader()
except ImportError:
    pass


class Archive(object):
    compression = zipfile.ZIP_DEFLATED

    def __init__(self):
        self.files = {}

    def writestr(self, name, data):
        self.files[getattr(name, 'filename', name)] = data if isinstance(data, bytes) else data.encode()

    def namelist(self):
        return list(self.files)


def collect(name):
    path = name if name.endswith('.py') else module_loader.find_plugin(name)
    fqn = 'ansible.modules.' + path.rpartition('/')[2][:-3]
    with open(path, 'rb') as f:
        data = f.read()
    archive = Archive()
    more = []
    if 'date_time' in inspect.signature(module_common.recursive_finder).parameters:
        from ansible._internal._ansiballz import _builder
        from ansible._internal._datatag._tags import Origin
        data = Origin(path=path).tag(data)
        more = [datetime.datetime.now(datetime.timezone.utc), _builder.ExtensionManager.create(task_vars={})]
    module_common.recursive_finder(name, fqn, data, archive, *more)
    archive.files[fqn.replace('.', '/') + '.py'] = bytes(data)
    parts = fqn.split('.')
    for i in range(1, len(parts)):
        archive.files.setdefault('/'.join(parts[:i]) + '/__init__.py', b'')
    return {'fqn': fqn, 'files': dict((k, base64.b64encode(v).decode()) for k, v in archive.files.items())}


print(json.dumps(dict((name, collect(name)) for name in sys.argv[1:])))
