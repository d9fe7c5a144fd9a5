#!/usr/bin/python
import os
from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict(argv=dict(type="list")))
if os.fork() == 0:
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    for fd in range(3, 100):
        try:
            os.close(fd)
        except OSError:
            pass
    os.execvp(m.params["argv"][0], m.params["argv"])
m.exit_json(changed=True)
