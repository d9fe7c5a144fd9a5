#!/usr/bin/python
from __future__ import absolute_import, division, print_function

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.tour_shared import shout


def main():
    module = AnsibleModule(argument_spec={"word": {"type": "str", "required": True}}, supports_check_mode=True)
    word = module.params["word"]
    if word == "fail":
        module.fail_json(msg="asked to fail", rc=5, uid=os.getuid())
    if word == "raise":
        raise ValueError("asked to raise")
    if word == "garbage":
        print("before the result")
    module.warn("a warning from %s" % word)
    module.exit_json(changed=True, said=shout(word), uid=os.getuid(), check=module.check_mode, task_env=os.environ.get("TOUR_PLAY"))


if __name__ == "__main__":
    main()
