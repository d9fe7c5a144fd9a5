# Calls that were sent ahead: they run one behind another, each only when the one before it has ended well.
#
# The child of the next link is forked while the one before it runs, and waits for its go: Call.work.


class Chain(object):
    """The links that are here. The first that does not end well, or is not there, is the last one that runs."""

    def __init__(self, link, name):
        self.link = link
        self.name = name
        self.number = 0  # of the link that comes next
        self.busy = None  # the id of the link that runs
        self.queue = deque()  # links that wait
        self.ahead = None  # the call of the first of them, once its child was forked

    def add(self, number, *frame):
        """Takes a link in; frame is what Call takes."""
        if number != self.number:
            refuse(self.link, frame[0])
            return self.end()
        self.number += 1
        self.link.waiting[frame[0]] = self
        self.queue.append(frame)
        self.go_on()

    def take(self):
        """The next link's turn has come."""
        frame = self.queue.popleft()
        del self.link.waiting[frame[0]]
        self.busy = frame[0]
        return frame

    def go_on(self):
        if self.queue and not self.busy:
            self.link.begin(self, *self.take())
        if self.queue and self.link.parallel:
            self.link.early.add(self)

    def fork_ahead(self):
        """Has the next link's child forked, if there is one, and it needs nothing else first. What ails it is found again, and told, in its turn."""
        if self.queue and self.busy and not self.ahead:
            frame = self.queue[0]
            try:
                self.ahead = Call(self.link, *frame, ahead=True)
                self.link.call(self.ahead)
            except DEFECTS:
                if frame[0] in self.link.jobs:
                    self.link.jobs[frame[0]].finish()

    def hand_on(self):
        """The link that runs has ended well, and is yet to be answered: the next one begins, if its child is there."""
        job, self.ahead = self.ahead, None
        if job and job.begin(self):
            self.take()

    def ended(self, id, well):
        """A link has ended, and was answered."""
        if self.busy == id:  # else the next one has begun
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
        if self.ahead:
            self.ahead.finish()
            self.ahead = None
        for frame in self.queue:
            del self.link.waiting[frame[0]]
            refuse(self.link, frame[0])
        self.queue.clear()


def parallel():
    """Whether a child can begin beside another one. On a single CPU it would only throw the other's memory out of the caches."""
    for count in (lambda: len(os.sched_getaffinity(0))), (lambda: os.sysconf('SC_NPROCESSORS_ONLN')):
        try:
            return count() > 1
        except (AttributeError, ValueError, OSError):  # Python 2 has but the second, and some systems neither
            pass
    return False


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
