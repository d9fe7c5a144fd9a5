#!/usr/bin/python
import os
from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict(path=dict()))
with open(os.path.expanduser(m.params["path"]), "r") as f:
    m.exit_json(text=f.read())
