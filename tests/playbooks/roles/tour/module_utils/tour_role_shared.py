"""In the role: seen by the role's own modules."""


def whisper(word):
    return word.lower() + "..."
