#!/usr/bin/python
import socket

from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict(name=dict()))
try:
    found = socket.gethostbyname(m.params["name"])
except socket.gaierror:
    found = "nothing"
m.exit_json(changed=False, msg=found)
