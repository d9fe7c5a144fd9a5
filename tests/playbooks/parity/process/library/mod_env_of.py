#!/usr/bin/python
import os
from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict(names=dict(type="list")))
rc, out, err = m.run_command("echo $FROM_PLAY $LANG $LC_ALL", use_unsafe_shell=True)
m.exit_json(values=dict((n, os.environ.get(n)) for n in m.params["names"]), out=out, rc=rc)
