#!/usr/bin/python
# Ends by an error that it has not foreseen.
from ansible.module_utils.basic import AnsibleModule

AnsibleModule(argument_spec={})
raise ValueError("on purpose")
