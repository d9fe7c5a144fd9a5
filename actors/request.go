package actors

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// Request asks an actor from outside the tree and waits for the answer: for the command line, the bridge's edge and
// tests, never inside an actor or a pump's hot path. A context without a deadline is refused (G7). A [Failed] answer
// is returned as the error; if ctx ends first, its cause is.
func (s *System) Request(ctx context.Context, pid *actor.PID, message any) (any, error) {
	mustBeMessage(message)
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, fmt.Errorf("request %s of %s: %w", typeName(message), pid.GetId(), ErrNoDeadline)
	}
	w := &waiter{answer: make(chan any, 1)}
	self, _ := s.engine.ProcessRegistry.Add(w, "edge"+s.engine.ProcessRegistry.NextID())
	defer s.engine.ProcessRegistry.Remove(self)
	s.SendAs(pid, message, self)

	select {
	case answer := <-w.answer:
		if failed, ok := answer.(*Failed); ok {
			return nil, failed
		}
		return answer, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("request %s of %s: %w", typeName(message), pid.GetId(), context.Cause(ctx))
	}
}

// waiter receives one answer for one goroutine. The engine's futures wake one waiter of several (P3) and write their
// result outside their lock (P4).
type waiter struct {
	answer chan any
	heard  atomic.Bool
}

var _ actor.Process = (*waiter)(nil)

// SendUserMessage takes the first answer and drops any other.
func (w *waiter) SendUserMessage(_ *actor.PID, message any) {
	if w.heard.CompareAndSwap(false, true) {
		w.answer <- actor.UnwrapEnvelopeMessage(message)
	}
}

// SendSystemMessage ignores the engine's messages.
func (w *waiter) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: the requester ends the wait.
func (w *waiter) Stop(*actor.PID) {}
