"""A connection of the playbook's own: local, and it counts what it is asked for."""
from __future__ import absolute_import, division, print_function

from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: own_local
short_description: local, and it says so
description: [As local.]
author: nobody
options: {}
"""


class Connection(Local):
    transport = "own_local"

    def exec_command(self, cmd, in_data=None, sudoable=True):
        rc, out, err = super(Connection, self).exec_command("OWN=yes; export OWN; " + cmd, in_data=in_data, sudoable=sudoable)
        return rc, out, err
