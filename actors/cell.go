package actors

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors/census"
)

// phase is where in its life an actor is. It is owned by the actor's goroutine.
type phase int

const (
	starting   phase = iota // made, Started not yet handled
	running                 // handles messages
	restarting              // ends this incarnation; another one follows
	stopping                // ends for good
	gone                    // Stopped is handled
)

// cell is everything the seam knows of one actor, over all its incarnations. It is the actor's mailbox to the engine,
// and the engine's invoker to the real mailbox inside: so it sees every message go in and come out.
type cell struct {
	system *System
	parent *cell // nil for roots
	spec   Spec
	path   string
	self   *actor.PID

	inner   actor.Mailbox        // the engine's own queue
	invoker actor.MessageInvoker // the engine's context, as invoker
	context actor.Context        // the same, as context
	facade  facade               // what the actor is given instead
	entry   *census.Entry
	logger  *zap.Logger // made when first asked for

	// Owned by the actor's goroutine.
	phase      phase
	generation uint64           // counts incarnations
	children   map[string]child // by path: actors and pumps
	answered   bool             // the request being handled was answered, kept or passed on
	past       Past             // failures so far, kept for the parent, in whose goroutine it is used

	ending atomic.Pointer[Failed] // why it ends, if it failed or quit

	mu      sync.Mutex // guards what timers and replies of other goroutines touch
	timers  map[*Timer]struct{}
	replies map[*Reply]struct{}
	backoff *time.Timer // the restart to come
}

// child is what a cell knows of its children: *cell or *Pump.
type child interface{ isChild() }

func (*cell) isChild() {}

var (
	_ actor.Mailbox        = (*cell)(nil)
	_ actor.MessageInvoker = (*cell)(nil)
)

func newCell(s *System, parent *cell, spec Spec) *cell {
	if spec.Supervise == nil {
		spec.Supervise = StopOnFailure
	}
	c := &cell{system: s, parent: parent, spec: spec, inner: actor.Unbounded()()}
	c.facade.cell = c
	return c
}

// inward is a message from the seam to one incarnation of an actor: a timer's or a pump's. Others never see it.
type inward struct {
	generation uint64
	message    any
	timer      *Timer // nil unless a timer's
}

// RegisterHandlers is called once, when the actor has its PID and before it handles anything.
func (c *cell) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	c.invoker = invoker
	c.context = invoker.(actor.Context)
	c.facade.Context = c.context
	c.self = c.context.Self()
	c.entry = c.system.census.Add(c.path, c.spec.Kind)
	c.inner.RegisterHandlers(c, dispatcher)
}

// Start starts the mailbox.
func (c *cell) Start() { c.inner.Start() }

// UserMessageCount is the number of queued messages.
func (c *cell) UserMessageCount() int { return c.inner.UserMessageCount() }

// PostUserMessage queues a message. It runs in the sender's goroutine, which is where a message that must not be sent
// has to hurt: a nil makes the engine's mailbox spin for ever (P15), a batch is delivered twice (P16).
func (c *cell) PostUserMessage(message any) {
	_, payload, sender := actor.UnwrapEnvelope(message)
	mustBeMessage(payload)
	if depth := c.entry.Queue(); depth > 0 {
		c.system.census.Record(census.Backlog, c.path, c.spec.Kind, fmt.Sprintf("%d, %s", depth, typeName(payload)))
		c.system.log.Warn("long queue", zap.String("path", c.path), zap.Int64("queued", depth),
			zap.String("type", typeName(payload)), zap.String("sender", sender.GetId()))
	}
	c.inner.PostUserMessage(message)
}

// PostSystemMessage queues a message of the engine.
func (c *cell) PostSystemMessage(message any) { c.inner.PostSystemMessage(message) }

// InvokeUserMessage hands one message to the actor, or answers for it when it no longer can.
func (c *cell) InvokeUserMessage(message any) {
	c.entry.Unqueue()
	if in, ok := message.(*inward); ok {
		if c.phase != running || in.generation != c.generation || (in.timer != nil && !in.timer.fire()) {
			return
		}
		message = in.message
	}
	if c.phase >= stopping {
		c.leftover(message)
		return
	}
	c.answered = false
	c.entry.Begin(actor.UnwrapEnvelopeMessage(message))
	c.entry.Handled()
	c.invoker.InvokeUserMessage(message)
	c.entry.End()
}

// leftover answers a message that was queued behind a stop; the engine would drop it in silence (P1).
func (c *cell) leftover(message any) {
	_, payload, sender := actor.UnwrapEnvelope(message)
	if _, pill := payload.(*actor.PoisonPill); pill {
		return
	}
	c.system.undelivered(c.path, c.spec.Kind, payload, sender, c.stopped())
}

// InvokeSystemMessage hands one message of the engine to the actor's context.
func (c *cell) InvokeSystemMessage(message any) {
	switch message.(type) {
	case *actor.Stop:
		if c.phase >= stopping {
			return
		}
	case *actor.Restart:
		// The engine would turn a stop under way into a restart, and whoever waits for the end would wait for ever.
		if c.phase >= stopping {
			return
		}
	case *actor.Watch:
		// Answered in every phase, even behind the end.
	default:
		if c.phase == gone {
			return
		}
	}
	c.entry.Begin(message)
	c.invoker.InvokeSystemMessage(message)
	c.entry.End()
	if _, stop := message.(*actor.Stop); stop {
		// A failed actor's mailbox is suspended. What is queued in it must come out, to be answered.
		c.inner.PostSystemMessage(&actor.ResumeMailbox{})
	}
}

// EscalateFailure is called when a handler panicked, while the panic is still on the stack.
func (c *cell) EscalateFailure(reason, message any) {
	c.entry.End()
	fault := faultOf(reason)
	c.note(fault)
	if _, payload, sender := actor.UnwrapEnvelope(message); sender != nil && !c.answered {
		if _, answer := payload.(*Failed); !answer {
			c.system.engine.Root.Send(sender, &Failed{Path: c.path, Err: fault})
		}
	}
	if c.phase >= stopping {
		return // it ends anyway
	}
	c.fail(fault, message)
}

// fail suspends the actor and lets its supervisor decide. It runs in the actor's goroutine.
func (c *cell) fail(fault Fault, message any) {
	c.ending.Store(&Failed{Path: c.path, Err: fault})
	if c.parent != nil {
		c.invoker.EscalateFailure(fault, message)
		return
	}
	// The engine would restart a root up to ten times. A root that fails is the end of the process's work.
	c.inner.PostSystemMessage(&actor.SuspendMailbox{})
	c.inner.PostSystemMessage(&actor.Stop{})
	c.system.rootFailed(&Failed{Path: c.path, Err: fault})
}

// note records a failure in the census and in the log.
func (c *cell) note(fault Fault) {
	text := fault.Error()
	c.entry.Fail(text)
	c.system.census.Record(census.Failed, c.path, c.spec.Kind, text)
	c.system.log.Warn("actor failed", zap.String("path", c.path), zap.String("class", fault.Class), zap.String("err", text))
}

// cause is why this actor ends: its own reason, or that of the nearest actor above it that has one.
func (c *cell) cause() error {
	for ; c != nil; c = c.parent {
		if why := c.ending.Load(); why != nil {
			return why
		}
	}
	return nil
}

// stopped is ErrStopped, with the cause where one is known.
func (c *cell) stopped() error {
	if cause := c.cause(); cause != nil {
		return fmt.Errorf("%w: %w", ErrStopped, cause)
	}
	return ErrStopped
}

// adopt enters a child.
func (c *cell) adopt(path string, ch child) {
	if c.children == nil {
		c.children = make(map[string]child)
	}
	c.children[path] = ch
}

// restartLater begins the actor anew after a while. It is called by the parent, in the parent's goroutine.
func (c *cell) restartLater(after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Posted to the mailbox and not sent to the PID: a namesake born meanwhile must not be restarted for it.
	c.backoff = time.AfterFunc(after, func() { c.inner.PostSystemMessage(&actor.Restart{}) })
}

// settle ends what hangs on this incarnation: timers, a restart to come, kept requests.
func (c *cell) settle(answer error) {
	c.mu.Lock()
	timers, replies := c.timers, c.replies
	c.timers, c.replies = nil, nil
	if c.backoff != nil {
		c.backoff.Stop()
		c.backoff = nil
	}
	c.mu.Unlock()
	for t := range timers {
		t.cancel()
	}
	for r := range replies {
		r.Fail(answer)
	}
}

// mustBeMessage panics on what must not be sent.
func mustBeMessage(message any) {
	switch message.(type) {
	case nil:
		panic(misuse("nil is no message"))
	case actor.MessageBatch:
		panic(misuse("%T is a batch: it would be delivered twice", message))
	}
}
