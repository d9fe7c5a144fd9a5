package transports

import "sync"

// sideLog hands on what the side of a booted link says, line by line. It holds the last lines until somebody asks.
type sideLog struct {
	mu   sync.Mutex
	tail tail
	fn   func(line string)
}

func (l *sideLog) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fn != nil {
		l.fn(line)
		return
	}
	l.tail.add(line)
}

// OnSide has fn called for each line on the link's side (stderr or the terminal), from now on, and first for up to 100
// that came since the agent is up. One goroutine calls it, one line at a time, until the link is closed; fn must not block
// for long, since the program may wait for it, and must not call OnSide. Secrets that were typed are masked. The side
// is read whether or not OnSide is called.
func (b *Booted) OnSide(fn func(line string)) {
	if b.side == nil {
		return
	}
	b.side.mu.Lock()
	defer b.side.mu.Unlock()
	for _, line := range b.side.tail.lines() {
		fn(line)
	}
	b.side.tail = tail{}
	b.side.fn = fn
}
