#!/usr/bin/python
"""Has its work done by another Python, which imports from where this one does and opens that as an archive."""
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils import served


def main():
    module = AnsibleModule(argument_spec=dict(word=dict(required=True)))
    module.exit_json(**served.ask(module.params['word']))


if __name__ == '__main__':
    main()
