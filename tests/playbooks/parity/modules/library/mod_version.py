#!/usr/bin/python
import os
import sys
from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict())
m.exit_json(major=sys.version_info[0], word=os.environ.get("WORD"), executable=os.path.basename(sys.executable), argv=len(sys.argv), path0=sys.path[0][-4:])
