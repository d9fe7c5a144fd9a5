#!/usr/bin/python
from __future__ import absolute_import, division, print_function

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.shared import mark
from ..module_utils.pack.inner import NAME
from ..module_utils import pack

m = AnsibleModule(argument_spec=dict(word=dict()))
m.exit_json(word=mark(m.params["word"]), name=NAME, pack=pack.__name__.rsplit(".", 1)[-1])
