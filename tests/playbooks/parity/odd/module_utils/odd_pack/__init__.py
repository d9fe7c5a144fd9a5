from .deep.leaf import LEAF
from . import side

ALL = "%s %s" % (LEAF, side.SIDE)
