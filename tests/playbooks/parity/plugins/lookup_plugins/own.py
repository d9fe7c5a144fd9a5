from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        return ["%s-%s-%s" % (t, kwargs.get("word", "-"), variables.get("inventory_hostname")) for t in terms]
