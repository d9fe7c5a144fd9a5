#!/usr/bin/python
from __future__ import absolute_import, division, print_function

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.spindle.parity.plugins.module_utils.shared import mark
import ansible_collections.spindle.parity.plugins.module_utils.pack.inner as inner

m = AnsibleModule(argument_spec=dict(word=dict()))
m.exit_json(word=mark(m.params["word"]), name=inner.NAME)
