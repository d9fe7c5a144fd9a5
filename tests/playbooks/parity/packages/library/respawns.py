#!/usr/bin/python
from __future__ import absolute_import, division, print_function

import os
import sys

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.respawn import has_respawned, probe_interpreters_for_module, respawn_module


def main():
    m = AnsibleModule(argument_spec=dict(word=dict(), needs=dict()), supports_check_mode=True)
    if not has_respawned():
        found = probe_interpreters_for_module(["/no/such/python", "/usr/bin/python3"], m.params["needs"])
        if not found:
            m.fail_json(msg="no interpreter has %s" % m.params["needs"])
        sys.stderr.write("on the way\n")
        sys.stderr.flush()
        respawn_module(found)
    m.warn("respawned")
    m.exit_json(changed=True, word=m.params["word"], check=m.check_mode, executable=sys.executable, major=sys.version_info[0],
                given=os.environ.get("WORD"), uid=os.getuid())


if __name__ == "__main__":
    main()
