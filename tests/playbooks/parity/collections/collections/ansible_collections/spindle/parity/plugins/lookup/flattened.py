from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def _flat(self, value):
        if not isinstance(value, (list, tuple)):
            return [value]
        return [one for part in value for one in self._flat(part)]

    def run(self, terms, variables=None, **kwargs):
        return self._flat(terms)
