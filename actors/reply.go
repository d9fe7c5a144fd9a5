package actors

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// Reply is a request that is still to be answered. It is answered exactly once: by Send or Fail, or with Failed when the
// actor that kept it ends first (G3).
type Reply struct {
	owner *cell
	to    *actor.PID
	done  atomic.Bool
}

// Keep holds the request being handled open, to be answered later. Store the Reply, never ctx.Sender(): only then can
// the seam answer when this actor cannot any more. A message without a sender gives a Reply that goes nowhere.
func Keep(ctx actor.Context) *Reply {
	c := cellOf(ctx)
	r := &Reply{owner: c, to: ctx.Sender()}
	if r.to == nil {
		r.done.Store(true)
		return r
	}
	c.answered = true
	if c.phase != running {
		r.Fail(c.stopped())
		return r
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.replies == nil {
		c.replies = make(map[*Reply]struct{})
	}
	c.replies[r] = struct{}{}
	return r
}

// Send answers the request. It reports false, and sends nothing, if that was done before. It may be called from any
// goroutine.
func (r *Reply) Send(answer any) bool {
	mustBeMessage(answer)
	if !r.done.CompareAndSwap(false, true) {
		return false
	}
	r.forget()
	r.owner.system.engine.Root.Send(r.to, answer)
	return true
}

func (r *Reply) forget() {
	r.owner.mu.Lock()
	delete(r.owner.replies, r)
	r.owner.mu.Unlock()
}

// Fail answers the request with Failed.
func (r *Reply) Fail(err error) bool {
	if err == nil {
		err = ErrStopped
	}
	return r.Send(&Failed{Path: r.owner.path, Err: err})
}

// Drop gives the request up: whoever asked is gone, and nothing is sent.
func (r *Reply) Drop() {
	if r.done.CompareAndSwap(false, true) {
		r.forget()
	}
}

// Done reports whether the request was answered, or never could be.
func (r *Reply) Done() bool { return r.done.Load() }

// To is who asked; nil if nobody waits for an answer.
func (r *Reply) To() *actor.PID { return r.to }
