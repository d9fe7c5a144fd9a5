#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.plain import shout
from ansible.module_utils.pack.deep import whisper
from ansible.module_utils import pack


def main():
    m = AnsibleModule(argument_spec=dict(word=dict(type="str")))
    m.exit_json(word=shout(m.params["word"]), small=whisper(m.params["word"]), pack=pack.NAME)


if __name__ == "__main__":
    main()
