import json
import os
import subprocess
import sys
import zipfile


def ask(word):
    environ = dict(os.environ, PYTHONPATH=sys.path[0])
    server = subprocess.Popen([sys.executable, '-m', 'ansible.module_utils.served', sys.path[0], word], env=environ, stdout=subprocess.PIPE)
    return json.loads(server.communicate()[0].decode())


if __name__ == '__main__':
    with zipfile.ZipFile(sys.argv[1]) as archive:
        print(json.dumps({'word': sys.argv[2], 'there': sorted(name for name in archive.namelist() if 'served' in name or 'mod_server' in name)}))
