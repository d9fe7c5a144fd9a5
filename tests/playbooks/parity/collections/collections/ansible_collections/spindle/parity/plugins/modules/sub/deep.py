#!/usr/bin/python
from __future__ import absolute_import, division, print_function

from ansible.module_utils.basic import AnsibleModule
from ...module_utils.shared import mark

m = AnsibleModule(argument_spec=dict(word=dict()))
m.exit_json(word=mark(m.params["word"]))
