"""A become method of the playbook's own."""
from __future__ import absolute_import, division, print_function

from ansible.plugins.become import BecomeBase

DOCUMENTATION = """
name: own_sudo
short_description: sudo by another name
description: [As sudo, without options.]
author: nobody
options:
  become_user:
    description: who to become
    default: root
    ini: [{section: privilege_escalation, key: become_user}]
    vars: [{name: ansible_become_user}]
    env: [{name: ANSIBLE_BECOME_USER}]
    keyword: [{name: become_user}]
  become_exe:
    description: the program
    default: sudo
    vars: [{name: ansible_become_exe}]
    keyword: [{name: become_exe}]
  become_flags:
    description: options of it
    default: -H -n
    vars: [{name: ansible_become_flags}]
    keyword: [{name: become_flags}]
  become_pass:
    description: password
    vars: [{name: ansible_become_password}]
"""


class BecomeModule(BecomeBase):
    name = "own_sudo"

    def build_become_command(self, cmd, shell):
        super(BecomeModule, self).build_become_command(cmd, shell)
        if not cmd:
            return cmd
        return "%s %s -u %s %s" % (self.get_option("become_exe"), self.get_option("become_flags"), self.get_option("become_user"), self._build_success_command(cmd, shell))
