#!/usr/bin/python
from ansible.module_utils import basic
import ansible.module_utils.common.collections as c


def main():
    m = basic.AnsibleModule(argument_spec=dict(word=dict(type="str")), supports_check_mode=True)
    m.exit_json(word=m.params["word"], sequence=c.is_sequence([]), check=m.check_mode)


if __name__ == "__main__":
    main()
