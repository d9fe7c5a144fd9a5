"""The base of connection plugins that have no class of Ansible's own behind them.

docker, podman and the like are plugins of collections, which need not be installed; su
and setns are nobody's. Everything that such a class has to do is done by the half that
connection.class_for puts in front of it.
"""
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

from spindle_ansible import connection as connection_mod
from spindle_ansible import texts


class StandIn(ConnectionBase):
    """Refuses to be made outside of a strategy of ours."""

    transport = 'mitogen'
    has_pipelining = True

    def __init__(self, *args, **kwargs):
        if not connection_mod.is_ours(self):
            raise AnsibleConnectionFailure(texts.OUTSIDE_STRATEGY)
        super(StandIn, self).__init__(*args, **kwargs)

    def _connect(self):
        raise NotImplementedError

    def exec_command(self, *args, **kwargs):
        """Is the other half's."""
        raise NotImplementedError

    def put_file(self, *args, **kwargs):
        """Is the other half's."""
        raise NotImplementedError

    def fetch_file(self, *args, **kwargs):
        """Is the other half's."""
        raise NotImplementedError

    def close(self):
        """Is the other half's."""
        raise NotImplementedError
