"""The connection type mitogen_docker: containers of docker."""
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

from spindle_ansible import compat  # noqa: E402
from spindle_ansible import config  # noqa: E402
from spindle_ansible import standin  # noqa: E402


class Connection(standin.StandIn):
    """What Ansible looks for in this file."""

    transport = 'docker'

    @property
    def docker_cmd(self):
        """The tool, for which plugins of others ask."""
        session = self.spindle
        return compat.plain(config.own('docker', 'path', session.variables, session.templar)) or 'docker'
