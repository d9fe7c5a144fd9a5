package actors

// Lanes is the queue in front of a link's writer: two lanes, of which control always goes before bulk (G2), and bulk
// takes turns among ids. Items of one id never change their order: a control item behind bulk of its own id waits for
// that bulk, and overtakes the bulk of all others. It is plain data for one goroutine; the zero value is empty and
// ready to use.
type Lanes[T any] struct {
	control fifo[laneItem[T]]
	turns   fifo[uint32]             // ids with queued items, in the order of their turns; each once
	queues  map[uint32]*laneQueue[T] // by id; never empty
	bytes   int
	items   int
}

type laneItem[T any] struct {
	id   uint32
	item T
	size int
	bulk bool
}

type laneQueue[T any] struct{ items fifo[laneItem[T]] }

// PushControl queues a control item. It stays behind what was queued for the same id.
func (l *Lanes[T]) PushControl(id uint32, item T, size int) {
	it := laneItem[T]{id: id, item: item, size: max(size, 0)}
	l.count(it, 1)
	if q := l.queues[id]; q != nil {
		q.items.push(it)
		return
	}
	l.control.push(it)
}

// PushUrgent queues a control item that may overtake the bulk of its own id too: a cancel, a grant of credit. Among
// the control items that wait for nothing it is the last.
func (l *Lanes[T]) PushUrgent(id uint32, item T, size int) {
	it := laneItem[T]{id: id, item: item, size: max(size, 0)}
	l.count(it, 1)
	l.control.push(it)
}

// PushBulk queues a bulk item.
func (l *Lanes[T]) PushBulk(id uint32, item T, size int) {
	it := laneItem[T]{id: id, item: item, size: max(size, 0), bulk: true}
	l.count(it, 1)
	q := l.queues[id]
	if q == nil {
		if l.queues == nil {
			l.queues = make(map[uint32]*laneQueue[T])
		}
		q = &laneQueue[T]{}
		l.queues[id] = q
		l.turns.push(id)
	}
	q.items.push(it)
}

// Pop takes items out, as many as fit into maxBytes together, and at least one if there is any: an item larger than
// maxBytes comes alone.
func (l *Lanes[T]) Pop(maxBytes int) []T {
	var out []T
	for room := maxBytes; ; {
		next, ok := l.peek()
		if !ok || (len(out) > 0 && next.size > room) {
			return out
		}
		l.take()
		room -= next.size
		out = append(out, next.item)
	}
}

// Len is the number of queued items.
func (l *Lanes[T]) Len() int { return l.items }

// Bytes is the sum of their sizes.
func (l *Lanes[T]) Bytes() int { return l.bytes }

// Drop takes everything out that is queued for an id, and returns it in order: for calls that were cancelled.
func (l *Lanes[T]) Drop(id uint32) []T {
	var out []T
	drop := func(it laneItem[T]) bool {
		if it.id != id {
			return false
		}
		l.count(it, -1)
		out = append(out, it.item)
		return true
	}
	l.control.filter(drop)
	if q := l.queues[id]; q != nil {
		q.items.filter(drop)
		delete(l.queues, id)
		l.turns.filter(func(turn uint32) bool { return turn == id })
	}
	return out
}

// peek is what take takes next.
func (l *Lanes[T]) peek() (laneItem[T], bool) {
	if it, ok := l.control.peek(); ok {
		return it, true
	}
	if id, ok := l.turns.peek(); ok {
		return l.queues[id].items.peek()
	}
	var none laneItem[T]
	return none, false
}

// take removes the next item and gives the turn on. There must be one.
func (l *Lanes[T]) take() {
	if it, ok := l.control.pop(); ok {
		l.count(it, -1)
		return
	}
	id, _ := l.turns.pop()
	q := l.queues[id]
	it, _ := q.items.pop()
	l.count(it, -1)
	// Control items whose bulk has gone wait for nothing any more.
	for {
		head, ok := q.items.peek()
		if !ok {
			delete(l.queues, id)
			return
		}
		if head.bulk {
			l.turns.push(id)
			return
		}
		q.items.pop()
		l.control.push(head)
	}
}

func (l *Lanes[T]) count(it laneItem[T], sign int) {
	l.items += sign
	l.bytes += sign * it.size
}

// fifo is a slice with a moving head. It gives what has grown large back when it runs empty.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) push(item T) {
	if f.head > 32 && f.head*2 > len(f.items) {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, item)
}

func (f *fifo[T]) peek() (item T, ok bool) {
	if f.head == len(f.items) {
		return item, false
	}
	return f.items[f.head], true
}

func (f *fifo[T]) pop() (item T, ok bool) {
	if item, ok = f.peek(); !ok {
		return item, false
	}
	var zero T
	f.items[f.head] = zero
	f.head++
	if f.head == len(f.items) {
		f.head = 0
		if cap(f.items) > 64 {
			f.items = nil
		} else {
			f.items = f.items[:0]
		}
	}
	return item, true
}

// filter removes what drop says, in order.
func (f *fifo[T]) filter(drop func(T) bool) {
	kept := make([]T, 0, len(f.items)-f.head)
	for _, item := range f.items[f.head:] {
		if !drop(item) {
			kept = append(kept, item)
		}
	}
	f.items, f.head = kept, 0
}
