"""The connection type mitogen_sudo: another account of the controller, or of the host that mitogen_via names, by sudo."""
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

from spindle_ansible import standin  # noqa: E402


class Connection(standin.StandIn):
    """What Ansible looks for in this file."""

    transport = 'sudo'
