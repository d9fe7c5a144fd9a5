package census

import (
	"maps"
	"reflect"
	"sync/atomic"
	"time"
)

// Phase says where in its life an actor is.
type Phase int32

// The phases of a life, in their order. Restarting leads back to Running; Abandoned is for pumps that did not return
// in time after they were told to.
const (
	Starting Phase = iota
	Running
	Restarting
	Stopping
	Abandoned
)

var phaseNames = [...]string{"starting", "running", "restarting", "stopping", "abandoned"}

// String returns the phase's name, as the tree shows it.
func (p Phase) String() string {
	if p < 0 || int(p) >= len(phaseNames) {
		return "unknown"
	}
	return phaseNames[p]
}

// Bytes counts what an actor has moved.
type Bytes struct {
	In, Out uint64
}

// Facts is what an actor tells about itself. It is published whole and never changed afterwards.
type Facts struct {
	// State is the actor's own word for what it does ("dialing", "ready"). It is shown while the actor runs.
	State string
	// LastError is shown instead of the last failure that the seam saw.
	LastError string
	// Bytes counts what the actor has moved.
	Bytes Bytes
	// Extra holds whatever else is worth seeing: user, python, rtt. Never a secret.
	Extra map[string]string
}

// Entry is one live actor or pump. All methods are safe to call from any goroutine and never block.
type Entry struct {
	path string
	kind string
	born time.Time

	phase    atomic.Int32
	queued   atomic.Int64
	peak     atomic.Int64
	handled  atomic.Uint64
	restarts atomic.Uint64
	busy     atomic.Int64 // when the current message was begun, in Unix nanoseconds; 0 when idle
	last     atomic.Value // reflect.Type of the latest message
	failure  atomic.Pointer[string]
	facts    atomic.Pointer[Facts]
}

// Path is the entry's place in the tree.
func (e *Entry) Path() string { return e.path }

// Kind is what sort of actor it is.
func (e *Entry) Kind() string { return e.kind }

// backlog is the queue length from which on a mailbox is worth a warning.
const backlog = 1024

// Queue counts a message in front of the actor. It returns a non-zero depth when that is worth a warning: when the
// queue has reached 1024, and then at every doubling, each once in a life.
func (e *Entry) Queue() (alarm int64) {
	n := e.queued.Add(1)
	if n < backlog || n&(n-1) != 0 {
		return 0
	}
	for {
		peak := e.peak.Load()
		if n <= peak {
			return 0
		}
		if e.peak.CompareAndSwap(peak, n) {
			return n
		}
	}
}

// Unqueue counts a message as taken from the queue.
func (e *Entry) Unqueue() { e.queued.Add(-1) }

// Begin notes that the actor has turned to a message. Only its type is kept.
func (e *Entry) Begin(message any) {
	if t := reflect.TypeOf(message); t != nil {
		e.last.Store(t)
	}
	e.busy.Store(time.Now().UnixNano())
}

// End notes that the actor is done with its message.
func (e *Entry) End() { e.busy.Store(0) }

// Handled counts a message that the actor was given.
func (e *Entry) Handled() { e.handled.Add(1) }

// Restarted counts a restart.
func (e *Entry) Restarted() { e.restarts.Add(1) }

// SetPhase moves the actor on in its life.
func (e *Entry) SetPhase(p Phase) { e.phase.Store(int32(p)) }

// Phase is where in its life the actor is.
func (e *Entry) Phase() Phase { return Phase(e.phase.Load()) }

// Fail keeps the text of a failure. It must not hold secrets.
func (e *Entry) Fail(text string) { e.failure.Store(&text) }

// Failure is the text of the latest failure, or empty.
func (e *Entry) Failure() string {
	if text := e.failure.Load(); text != nil {
		return *text
	}
	return ""
}

// Describe replaces the actor's facts. The caller must not change f.Extra afterwards.
func (e *Entry) Describe(f Facts) { e.facts.Store(&f) }

// node copies the entry.
func (e *Entry) node(now time.Time) Node {
	n := Node{
		Path:     e.path,
		Kind:     e.kind,
		State:    e.Phase().String(),
		Queued:   max(e.queued.Load(), 0),
		Handled:  e.handled.Load(),
		Restarts: e.restarts.Load(),
		Born:     e.born,
	}
	if t, ok := e.last.Load().(reflect.Type); ok {
		n.LastMessage = t.String()
	}
	if since := e.busy.Load(); since != 0 {
		n.Busy = max(now.Sub(time.Unix(0, since)), 1)
	}
	n.LastError = e.Failure()
	if f := e.facts.Load(); f != nil {
		if f.State != "" && e.Phase() == Running {
			n.State = f.State
		}
		if f.LastError != "" {
			n.LastError = f.LastError
		}
		n.BytesIn, n.BytesOut = f.Bytes.In, f.Bytes.Out
		n.Extra = maps.Clone(f.Extra)
	}
	return n
}
