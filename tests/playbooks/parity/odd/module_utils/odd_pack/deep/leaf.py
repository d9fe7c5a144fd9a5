from ..side import SIDE

LEAF = "leaf of " + SIDE
