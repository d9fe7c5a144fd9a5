"""Names a way to a host for programs that start ssh; the code is in spindle_ansible."""
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

from spindle_ansible.rsh import RshAction  # noqa: E402


class ActionModule(RshAction):
    """What Ansible looks for in this file."""
