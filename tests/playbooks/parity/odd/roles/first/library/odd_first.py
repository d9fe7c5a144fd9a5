#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.odd_role import WORD

m = AnsibleModule(argument_spec=dict())
m.exit_json(changed=False, msg=WORD)
