#!/usr/bin/env python3
import os
import sys

from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule({})
m.exit_json(version=list(sys.version_info[:2]), prefix=sys.prefix, ignores=sys.flags.ignore_environment, said=os.environ.get("SAID"))
