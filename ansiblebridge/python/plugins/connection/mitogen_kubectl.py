"""The connection type mitogen_kubectl: pods, by kubectl."""
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

from spindle_ansible import standin  # noqa: E402


class Connection(standin.StandIn):
    """What Ansible looks for in this file."""

    transport = 'kubectl'
