#!/usr/bin/python
import traceback
from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import no_such_library
    m = no_such_library
except ImportError:
    why = traceback.format_exc()

m = AnsibleModule(argument_spec=dict(how=dict()))
if m.params["how"] == "handled":
    m.fail_json(msg=missing_required_lib("no_such_library"), exception=why)
import no_such_library as again

m.exit_json(never=str(again))
