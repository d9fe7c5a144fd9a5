#!/usr/bin/python
import atexit
import threading
import time
from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict(path=dict(), how=dict()))


def leave():
    with open(m.params["path"], "a") as f:
        f.write(m.params["how"] + "\n")


def late():
    time.sleep(0.2)
    leave()


if m.params["how"] == "thread":
    threading.Thread(target=late).start()
else:
    atexit.register(leave)
if m.params["how"] == "raise":
    raise RuntimeError("on purpose")
if m.params["how"] == "fail_json":
    m.fail_json(msg="on purpose")
m.exit_json(changed=True)
