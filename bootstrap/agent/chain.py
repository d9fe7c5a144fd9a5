# Calls that were sent ahead: they run one behind another, each only when the one before it has ended well.


class Chain(object):
    """The links that are here. The first that does not end well, or is not there, is the last one that runs."""

    def __init__(self, link, name):
        self.link = link
        self.name = name
        self.number = 0  # of the link that comes next
        self.busy = None
        self.queue = deque()  # links that wait

    def add(self, number, *frame):
        """Takes a link in; frame is what Call takes."""
        if number != self.number:
            refuse(self.link, frame[0])
            return self.end()
        self.number += 1
        self.link.waiting[frame[0]] = self
        self.queue.append(frame)
        self.go_on()

    def go_on(self):
        if self.queue and not self.busy:
            frame = self.queue.popleft()
            del self.link.waiting[frame[0]]
            self.busy = frame[0]
            self.link.begin(self, *frame)

    def ended(self, well):
        """The link that ran has ended."""
        self.busy = None
        if well:
            self.go_on()
        else:
            self.end()

    def end(self):
        """Answers what waits without having done it, and forgets the chain, so that what still comes is refused."""
        if self.link.chains.get(self.name) is self:
            del self.link.chains[self.name]
        self.number = -1
        for frame in self.queue:
            del self.link.waiting[frame[0]]
            refuse(self.link, frame[0])
        self.queue.clear()


def refuse(link, id):
    """Answers a link of a chain that has ended ahead of it."""
    link.send(RESULT, id, (STATUS_STALE, 0, 0, 0, errno.ENOLINK, 'not begun'))


def enchain(link, place, *frame):
    """Takes a call in as a link of its chain. A chain without a link that runs or waits is forgotten when many others have come."""
    name, number = place[:2]
    if frame[1][5]:
        raise ValueError('a link of a chain has its input in it, and is answered')
    chain = link.chains.get(name)
    if chain is None:
        if number:
            return refuse(link, frame[0])
        if len(link.chains) >= 256:
            for old in [c for c in link.chains.values() if not c.busy]:
                del link.chains[old.name]
        chain = link.chains[name] = Chain(link, name)
    chain.add(number, *frame)
