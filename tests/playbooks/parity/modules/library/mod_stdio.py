#!/usr/bin/python
import os
import stat
import sys
from ansible.module_utils.basic import AnsibleModule


def libffi(fd):
    """Whether it is one that libffi has opened for itself, under whichever number was free."""
    return "libffi" in os.readlink("/proc/self/fd/" + fd)


m = AnsibleModule(argument_spec=dict())
m.exit_json(tty=[os.isatty(i) for i in range(3)], out=stat.S_ISFIFO(os.fstat(1).st_mode) or stat.S_ISSOCK(os.fstat(1).st_mode), more=[f for f in os.listdir("/proc/self/fd") if int(f) > 9 and not libffi(f)],
            fileno=[sys.stdout.fileno(), sys.stderr.fileno()], rest=sys.stdin.read(), python=sys.flags.dont_write_bytecode)
