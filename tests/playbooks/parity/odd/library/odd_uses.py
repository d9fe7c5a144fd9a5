#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils import odd_shared
from ansible.module_utils.odd_pack import ALL
from ansible.module_utils.odd_pack.deep import leaf
import ansible.module_utils.odd_pack.side as side

try:
    from ansible.module_utils.odd_missing import NOTHING
except ImportError:
    NOTHING = "missing"

m = AnsibleModule(argument_spec=dict(word=dict(default="-")), supports_check_mode=True)
m.exit_json(changed=False, msg=[odd_shared.WORD, ALL, leaf.LEAF, side.SIDE, m.params["word"], m.check_mode])
