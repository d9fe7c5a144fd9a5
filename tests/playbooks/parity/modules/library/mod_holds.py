#!/usr/bin/python
import subprocess
from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict())
subprocess.Popen(["/bin/sh", "-c", "sleep 2; : holds-on"], close_fds=True)
m.exit_json(started=True)
