"""Beside the playbook: shared by the modules of library/."""


def shout(word):
    return word.upper() + "!"
