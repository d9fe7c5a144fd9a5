#!/usr/bin/python
# Puts something else in the place of its streams, and leaves it there.
import json
import os
import sys

from ansible.module_utils.basic import AnsibleModule


class Tee(object):
    """A stream that knows little."""

    def __init__(self, out):
        self.out = out

    def write(self, text):
        return self.out.write(text)


def main():
    module = AnsibleModule(argument_spec={'how': {}})
    how = module.params['how']
    if how == 'tee':
        sys.stdout = Tee(sys.stdout)
        module.exit_json(changed=False, how=how)
    sys.stdout.write(json.dumps({'changed': False, 'how': how}))
    if how == 'closed':
        sys.stdout.close()
    sys.stdout = sys.stderr = open(os.devnull, 'w')
    sys.exit(0)


if __name__ == '__main__':
    main()
