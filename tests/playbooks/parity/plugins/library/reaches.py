#!/usr/bin/python
from __future__ import absolute_import, division, print_function

from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict(root=dict(type="bool")))
m.exit_json(given=m.params["root"])
