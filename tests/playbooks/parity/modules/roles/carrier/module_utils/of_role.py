def mark(s):
    return "<%s>" % s
