NAME = "the pack"
