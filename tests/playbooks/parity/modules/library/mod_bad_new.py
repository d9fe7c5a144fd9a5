#!/usr/bin/python
import json
import os
import signal
import sys
from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict(how=dict(), secret=dict(no_log=True, default="hidden-value-of-mine")), supports_check_mode=True)
how = m.params["how"]
if how == "before":
    print("rubbish before")
    m.exit_json(how=how)
elif how == "after":
    print(json.dumps({"how": how}))
    print("rubbish after")
elif how == "raises":
    raise ValueError("on purpose")
elif how == "signal":
    os.kill(os.getpid(), signal.SIGTERM)
elif how == "stderr":
    sys.stderr.write("something wrong\n")
    m.exit_json(how=how)
elif how == "warns":
    m.warn("a warning of a module")
    m.warn("a second one")
    m.exit_json(how=how, warnings=["a third one"])
elif how == "deprecates":
    m.deprecate("old thing", version="9.9", collection_name="ansible.builtin")
    m.exit_json(how=how)
elif how == "fails":
    m.fail_json(msg="it fails", extra=[1], rc=4)
elif how == "fails with exception":
    try:
        {}["missing"]
    except KeyError:
        import traceback
        m.fail_json(msg="it fails", exception=traceback.format_exc())
elif how == "prints json":
    print(json.dumps({"how": how, "invocation": "mine"}))
    sys.exit(0)
elif how == "no_log value":
    m.exit_json(out="has hidden-value-of-mine in it", other={"hidden-value-of-mine": 1})
elif how == "facts":
    m.exit_json(ansible_facts={"mod_fact": "a fact", "discovered_interpreter_python": "/no"})
elif how == "diff":
    m.exit_json(changed=True, diff=dict(before="a\n", after="b\n"))
elif how == "invocation":
    m.exit_json(invocation={"mine": 1})
elif how == "ansible keys":
    m.exit_json(_ansible_parsed=False, _ansible_ignored=1, ansible_host="evil", ansible_facts=dict(ansible_connection="evil", ansible_user="evil", ansible_become_pass="evil"))
elif how == "rc only":
    m.exit_json(rc=3)
elif how == "skipped":
    m.exit_json(skipped=True, msg="skipped by the module")
elif how == "results":
    m.exit_json(results="no list")
