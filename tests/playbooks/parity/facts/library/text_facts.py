#!/usr/bin/python
# Facts that look like templates.
from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict())
text = "<{{ out.stdout | default('none') }}>"
m.exit_json(ansible_facts={"own_text": text, "own_deep": {"in": [text]}})
