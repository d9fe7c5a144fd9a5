#!/usr/bin/python
import ansible.module_utils.basic


def main():
    m = ansible.module_utils.basic.AnsibleModule(argument_spec=dict(word=dict(type="str")))
    m.exit_json(changed=True, word=m.params["word"])


main()
