#!/usr/bin/python
import os
import resource
import signal
import sys
from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict())
os.chdir("/usr")
os.umask(0o077)
os.environ["LEFT"] = "behind"
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.setrecursionlimit(500)
sys.modules["os.path"].join = None
m.exit_json(done=True)
