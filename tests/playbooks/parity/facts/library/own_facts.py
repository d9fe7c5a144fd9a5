#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict(gather_subset=dict(type="list"), filter=dict(type="list"), gather_timeout=dict(type="int"), fact_path=dict()))
m.exit_json(ansible_facts={"own": "a fact of our own"})
