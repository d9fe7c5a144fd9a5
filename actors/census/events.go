package census

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// EventType is the sort of an event.
type EventType uint8

// The turns in an actor's life, and two things that can befall its mailbox.
const (
	Spawned    EventType = iota + 1 // entered the census
	Failed                          // panicked; Text is the fault
	Restarted                       // begun anew after a failure
	Stopped                         // really gone; Text is the reason, if it had one of its own
	DeadLetter                      // a message found nobody at Path; Text is its type
	Backlog                         // the queue grew long; Text is its depth and the latest message's type
	Lost                            // a pump did not return in time after it was told to
)

var eventNames = [...]string{"", "spawned", "failed", "restarted", "stopped", "dead_letter", "backlog", "lost"}

// String returns the event's name, as it is logged.
func (t EventType) String() string {
	if t == 0 || int(t) >= len(eventNames) {
		return "unknown"
	}
	return eventNames[t]
}

// MarshalText writes the name of the type.
func (t EventType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the name of a type.
func (t *EventType) UnmarshalText(text []byte) error {
	for i, name := range eventNames[1:] {
		if name == string(text) {
			*t = EventType(i + 1)
			return nil
		}
	}
	return fmt.Errorf("unknown event type %q", text)
}

// Event is one turn in the life of an actor.
type Event struct {
	// Seq numbers the events of a census from 1, without gaps.
	Seq uint64 `json:"seq"`
	// At is when it happened.
	At time.Time `json:"at"`
	// Type is what happened.
	Type EventType `json:"type"`
	// Path is whom it happened to.
	Path string `json:"path"`
	// Kind is what sort of actor that is, where known.
	Kind string `json:"kind,omitempty"`
	// Text says more, see the types. It never holds message contents.
	Text string `json:"text,omitempty"`
}

// RingSize is how many events are kept.
const RingSize = 4096

// ring keeps the latest events. It is locked for the length of a copy, and events are rare next to messages.
type ring struct {
	mu     sync.Mutex
	events []Event // grows up to RingSize, then event n lives at (n-1)%RingSize
	last   uint64
	more   chan struct{} // closed at the next event; nil while nobody waits
}

// Record adds an event.
func (c *Census) Record(t EventType, path, kind, text string) {
	r := &c.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	e := Event{Seq: r.last, At: time.Now(), Type: t, Path: path, Kind: kind, Text: text}
	if len(r.events) < RingSize {
		r.events = append(r.events, e)
	} else {
		r.events[(r.last-1)%RingSize] = e
	}
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// Events returns what happened after the event numbered after, oldest first. Pass 0 for all that is kept. A gap
// between after and the first one returned means that older ones were overwritten.
func (c *Census) Events(after uint64) []Event {
	r := &c.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since(after)
}

// NextEvents is like Events, but waits for the next event when there is none yet. It returns the context's cause when
// that ends first.
func (c *Census) NextEvents(ctx context.Context, after uint64) ([]Event, error) {
	r := &c.ring
	for {
		r.mu.Lock()
		events := r.since(after)
		if len(events) > 0 {
			r.mu.Unlock()
			return events, nil
		}
		if r.more == nil {
			r.more = make(chan struct{})
		}
		more := r.more
		r.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// since copies the events behind after; the lock is held.
func (r *ring) since(after uint64) []Event {
	first := max(after+1, r.last-uint64(len(r.events))+1)
	if first > r.last {
		return nil
	}
	events := make([]Event, 0, r.last-first+1)
	for seq := first; seq <= r.last; seq++ {
		events = append(events, r.events[(seq-1)%RingSize])
	}
	return events
}
