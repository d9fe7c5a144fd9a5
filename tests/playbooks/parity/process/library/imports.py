#!/usr/bin/python
"""Imports something that is not Ansible's, and says what is in it."""
from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule(argument_spec=dict(name=dict(required=True)))
    try:
        found = __import__(module.params['name']).SAYS
    except ImportError:
        found = 'it is not there'
    module.exit_json(found=found)


if __name__ == '__main__':
    main()
