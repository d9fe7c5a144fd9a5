#!/usr/bin/python
# The oldest way to ask for AnsibleModule: a comment that Ansible replaces.


def main():
    module = AnsibleModule(argument_spec={"word": {"type": "str", "required": True}})  # noqa: F821
    module.exit_json(changed=False, said=module.params["word"])


#<<INCLUDE_ANSIBLE_MODULE_COMMON>>

if __name__ == "__main__":
    main()
