#!/usr/bin/python
import os

from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict())
m.exit_json(changed=False, msg=["%s=%s" % (k, os.environ.get(k)) for k in ("PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONUNBUFFERED", "A", "NUMBER", "YES")])
