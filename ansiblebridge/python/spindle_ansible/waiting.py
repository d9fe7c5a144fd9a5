"""Waiting for a file to be readable, whatever its number: select() knows those up to 1023 only, and with many forks there are more."""
import math
import select
import threading

_here = threading.local()


def readable(file, seconds):
    """Whether there is something to read, or an end to be seen, within so many seconds; None waits for ever."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(None if seconds is None else math.ceil(seconds * 1000)))


def tell(function):
    """Have function called, once, when this thread begins to wait for the multiplexer."""
    _here.function = function


def begins():
    """This thread begins to wait, or will not any more."""
    function = getattr(_here, 'function', None)
    if function is not None:
        _here.function = None
        function()
