from . import names
from ..plain import shout


def whisper(s):
    return "%s %s %s" % (s.lower(), names.NAME, shout("x"))
