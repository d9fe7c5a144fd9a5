"""A connection of the playbook's own: stock ssh with a variable put in front."""
from __future__ import absolute_import, division, print_function

from ansible.plugins.connection.ssh import Connection as Ssh
from ansible.plugins.connection.ssh import DOCUMENTATION as stock

DOCUMENTATION = stock.replace("name: ssh", "name: own_ssh")


class Connection(Ssh):
    transport = "own_ssh"

    def exec_command(self, cmd, in_data=None, sudoable=True):
        return super(Connection, self).exec_command("OWN=yes " + cmd, in_data=in_data, sudoable=sudoable)
