class FilterModule(object):
    def filters(self):
        return {"own_twice": lambda s: s + s}
