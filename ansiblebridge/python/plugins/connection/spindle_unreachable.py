"""The connection type of hosts that only Spindle reaches, in a run in which it is not used: it says so."""
import os
import sys

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = '''
    name: spindle_unreachable
    short_description: Reaches nobody
    description: [Stands for connections that need Spindle where it cannot be used.]
    author: Spindle contributors
'''

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

from spindle_ansible import fallback  # noqa: E402
from spindle_ansible import texts  # noqa: E402


class Connection(ConnectionBase):
    """Refuses whatever is asked of it."""

    transport = 'spindle_unreachable'
    has_pipelining = True

    def _connect(self):
        raise AnsibleConnectionFailure(texts.NEEDS_SPINDLE % fallback.why())

    def exec_command(self, *args, **kwargs):
        """Refuse."""
        self._connect()

    def put_file(self, *args, **kwargs):
        """Refuse."""
        self._connect()

    def fetch_file(self, *args, **kwargs):
        """Refuse."""
        self._connect()

    def close(self):
        """There is nothing to end."""
