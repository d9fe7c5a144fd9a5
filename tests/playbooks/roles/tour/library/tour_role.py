#!/usr/bin/python
from __future__ import absolute_import, division, print_function

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.tour_role_shared import whisper
from ansible.module_utils.tour_shared import shout


def main():
    module = AnsibleModule(argument_spec={"word": {"type": "str", "required": True}})
    module.exit_json(changed=False, said=[whisper(module.params["word"]), shout(module.params["word"])])


if __name__ == "__main__":
    main()
