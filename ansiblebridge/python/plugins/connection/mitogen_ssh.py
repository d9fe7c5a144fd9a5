"""The connection type mitogen_ssh: the same as ssh while a strategy of ours runs.

Then the loader gives out the class made from the stock one. This one is met only
when no such strategy runs.
"""
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ssh as stock

DOCUMENTATION = stock.DOCUMENTATION


class Connection(stock.Connection):
    """Refuses to be made."""

    def __init__(self, *args, **kwargs):
        raise AnsibleConnectionFailure(
            'Mitogen connection types may only be instantiated when one of the "mitogen_*" strategies are active.')
