"""Waiting for a file to be readable, whatever its number: select() knows those up to 1023 only, and with many forks there are more."""
import math
import select


def readable(file, seconds):
    """Whether there is something to read, or an end to be seen, within so many seconds; None waits for ever."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(None if seconds is None else math.ceil(seconds * 1000)))
