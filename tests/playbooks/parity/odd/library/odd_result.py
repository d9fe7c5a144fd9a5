#!/usr/bin/python
import datetime

from ansible.module_utils.basic import AnsibleModule

m = AnsibleModule(argument_spec=dict(kind=dict()))
kind = m.params["kind"]
out = {}
if kind == "deep":
    out["deep"] = []
    for i in range(60):
        out["deep"] = [out["deep"], {"n": i}]
elif kind == "wide":
    out["wide"] = dict(("k%d" % i, "v" * 50) for i in range(5000))
elif kind == "keys":
    out["keys"] = {"": 1, " ": 2, u"\xe4": 3, "a.b": 4, "{{ x }}": 5, "1": 6}
elif kind == "types":
    out["types"] = [None, True, 0, -1, 2 ** 60, 0.5, 1e300, u"\xe4\u20ac", b"bytes", (1, 2), set([1]), datetime.datetime(2020, 1, 2, 3, 4, 5), "{{ 1 + 1 }}"]
elif kind == "stdout":
    out.update(stdout=["a", "b"], stderr={"x": 1}, rc="0", changed="yes", failed=False, warnings=["w {{ 1 }}"], msg={"not": "text"})
elif kind == "facts":
    out["ansible_facts"] = {"odd_fact": "{{ 1 + 1 }}", "odd-dash": 1, "ansible_connection": "nonsense", "discovered_interpreter_python": "/no/such"}
m.exit_json(**out)
