class FilterModule(object):
    def filters(self):
        return {"wrapped": lambda s: "[%s]" % s}
