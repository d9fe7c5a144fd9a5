#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
import no_such_library

m = AnsibleModule(argument_spec=dict())
m.exit_json(never=no_such_library)
