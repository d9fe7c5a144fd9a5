#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule


def main():
    m = AnsibleModule(argument_spec=dict(word=dict(type="str")))
    m.exit_json(changed=False, word=m.params["word"], name=m._name, file=__file__.rsplit("/", 1)[-1][:7], main=__name__)


if __name__ == "__main__":
    main()
