#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule


def main():
    m = AnsibleModule(
        argument_spec=dict(
            text=dict(type="str", required=True, aliases=["alias"]), alias_of_text=dict(type="str", default="d"),
            number=dict(type="int"), real=dict(type="float"), flag=dict(type="bool"),
            items=dict(type="list", elements="str"), table=dict(type="dict"), path=dict(type="path"), raw=dict(type="raw"),
            json=dict(type="jsonarg"), bytes=dict(type="bytes"), bits=dict(type="bits"), choice=dict(choices=["first", "second"]),
        ),
    )
    m.exit_json(params=m.params)


if __name__ == "__main__":
    main()
