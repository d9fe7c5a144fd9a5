#!/usr/bin/python
def main():
    from ansible.module_utils.basic import AnsibleModule
    from ansible.module_utils.plain import shout
    m = AnsibleModule(argument_spec=dict(word=dict(type="str")))
    try:
        from ansible.module_utils.not_there import nothing
    except ImportError:
        nothing = None
    m.exit_json(word=shout(m.params["word"]), nothing=nothing)


if __name__ == "__main__":
    main()
