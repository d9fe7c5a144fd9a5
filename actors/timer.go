package actors

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Timer is a message on its way from an actor to itself.
type Timer struct {
	owner *cell
	timer *time.Timer
	state atomic.Int32
}

const (
	timerArmed int32 = iota
	timerFired
	timerStopped
)

// After sends the actor a message when d has passed. Only the incarnation that asked for it gets it: a restarted
// actor, or a namesake, does not hear its predecessor's clock. An actor that is ending gets a stopped timer.
func After(ctx actor.Context, d time.Duration, message any) *Timer {
	mustBeMessage(message)
	c := cellOf(ctx)
	t := &Timer{owner: c}
	if c.phase != running {
		t.state.Store(timerStopped)
		return t
	}
	due := &inward{generation: c.generation, message: message, timer: t}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timers == nil {
		c.timers = make(map[*Timer]struct{})
	}
	c.timers[t] = struct{}{}
	t.timer = time.AfterFunc(d, func() { c.PostUserMessage(due) })
	return t
}

// Stop takes the message back, even if it is queued already. It reports whether it was in time. Stopping a nil timer
// does nothing.
func (t *Timer) Stop() bool {
	if t == nil || !t.cancel() {
		return false
	}
	t.forget()
	return true
}

// cancel stops the clock.
func (t *Timer) cancel() bool {
	if !t.state.CompareAndSwap(timerArmed, timerStopped) {
		return false
	}
	t.timer.Stop()
	return true
}

// fire claims the message for delivery.
func (t *Timer) fire() bool {
	if !t.state.CompareAndSwap(timerArmed, timerFired) {
		return false
	}
	t.forget()
	return true
}

func (t *Timer) forget() {
	t.owner.mu.Lock()
	delete(t.owner.timers, t)
	t.owner.mu.Unlock()
}
