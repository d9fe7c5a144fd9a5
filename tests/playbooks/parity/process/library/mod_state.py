#!/usr/bin/python
import locale
import os
import resource
import signal
import sys
import threading
from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict())
mask = os.umask(0)
os.umask(mask)
m.exit_json(
    cwd=os.getcwd(), umask=mask, locale=list(locale.getlocale()), encoding=sys.getfilesystemencoding(), limits=[resource.getrlimit(resource.RLIMIT_NOFILE)[0], resource.getrlimit(resource.RLIMIT_CORE)[0]],
    signals=[str(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM)],
    threads=threading.active_count(), recursion=sys.getrecursionlimit(), groups=sorted(os.getgroups()), ids=[os.getuid(), os.geteuid(), os.getgid(), os.getegid()],
    modules=[n for n in ("ansible.module_utils.basic", "spindle") if n in sys.modules], stdin=sys.stdin.read(), name=__name__, home=os.environ.get("HOME"), user=os.environ.get("USER"),
)
