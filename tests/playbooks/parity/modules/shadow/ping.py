#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict(data=dict()))
m.exit_json(mine=m.params["data"])
