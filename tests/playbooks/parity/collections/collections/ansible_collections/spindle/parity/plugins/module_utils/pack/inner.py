from ..shared import mark

NAME = mark("inner")
