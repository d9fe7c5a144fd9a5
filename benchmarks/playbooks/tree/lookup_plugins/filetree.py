# A small lookup for with_filetree, since the one that people use is not part of ansible-core: the files below a directory, in order.
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os

from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: filetree
short_description: list the files and directories below a directory
description: Returns an item with C(path), C(src) and C(state) for everything below each directory.
options:
  _terms:
    description: directories
    required: true
"""


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        found = []
        for top in terms:
            for directory, subdirectories, names in os.walk(top):
                subdirectories.sort()
                for name in subdirectories + sorted(names):
                    src = os.path.join(directory, name)
                    state = "directory" if os.path.isdir(src) else "file"
                    found.append({"path": os.path.relpath(src, top), "src": src, "state": state})
        return found
