from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict(word=dict()))
m.exit_json(word=m.params["word"])
