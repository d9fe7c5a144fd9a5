#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.of_role import mark

m = AnsibleModule(argument_spec=dict(word=dict()))
m.exit_json(word=mark(m.params["word"]))
