package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"
)

// facade is the context that actors are given: protoactor's, minus what it does badly, plus an eye on answers.
type facade struct {
	actor.Context
	cell *cell
}

var _ actor.Context = (*facade)(nil)

// cellOf finds the cell of a context that the seam handed out.
func cellOf(ctx actor.Context) *cell {
	f, ok := ctx.(*facade)
	if !ok {
		panic(misuse("%T is no context of an actor spawned by this package", ctx))
	}
	return f.cell
}

// SystemOf returns the system of an actor, for its pumps to send with.
func SystemOf(ctx actor.Context) *System { return cellOf(ctx).system }

// Log returns the actor's logger. Its entries carry the actor's path.
func Log(ctx actor.Context) *zap.Logger {
	c := cellOf(ctx)
	if c.logger == nil {
		c.logger = c.system.log.Named(c.spec.Kind).With(zap.String("path", c.path))
	}
	return c.logger
}

// Cause returns why the actor ends, as a *Failed with the path of whoever had the reason: the fault or [Quit] of the
// actor itself, or of the nearest one above it; nil if it was just told to stop. It is meant for Stopping handlers, to
// tell callers why.
func Cause(ctx actor.Context) error { return cellOf(ctx).cause() }

// Quit stops the actor for a reason that is no fault: the far side hung up, say. Nobody needs to decide anything, but
// everything below learns why it ends, from Cause, and so do those whose requests are left over. Of several reasons the
// first one holds. The text must not hold secrets.
func Quit(ctx actor.Context, why error) {
	c := cellOf(ctx)
	if c.phase == running && why != nil && c.ending.CompareAndSwap(nil, &Failed{Path: c.path, Err: why}) {
		c.entry.Fail(why.Error())
	}
	ctx.Stop(c.self)
}

// Actor returns the actor's value.
func (f *facade) Actor() actor.Actor {
	if g, ok := f.Context.Actor().(*guard); ok {
		return g.actor
	}
	return f.Context.Actor()
}

// Children returns the child actors. Pumps are not among them.
func (f *facade) Children() []*actor.PID {
	var pids []*actor.PID
	for _, pid := range f.Context.Children() {
		if _, isCell := f.cell.children[pid.Id].(*cell); isCell {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Send sends a message. Sending to the request's sender answers it.
func (f *facade) Send(pid *actor.PID, message any) {
	mustBeMessage(message)
	if pid == nil {
		f.cell.system.SendAs(nil, message, nil)
		return
	}
	if pid == f.Context.Sender() {
		f.cell.answered = true
	}
	f.Context.Send(pid, message)
}

// Request sends a message whose answer comes back to this actor.
func (f *facade) Request(pid *actor.PID, message any) {
	f.RequestWithCustomSender(pid, message, f.cell.self)
}

// RequestWithCustomSender sends a message whose answer goes to sender. Naming the request's sender passes it on.
func (f *facade) RequestWithCustomSender(pid *actor.PID, message any, sender *actor.PID) {
	mustBeMessage(message)
	if sender != nil && sender == f.Context.Sender() {
		f.cell.answered = true
	}
	if pid == nil {
		f.cell.system.SendAs(nil, message, sender)
		return
	}
	f.Context.RequestWithCustomSender(pid, message, sender)
}

// Respond answers the request being handled. Without a sender the answer is a dead letter.
func (f *facade) Respond(response any) {
	mustBeMessage(response)
	f.cell.answered = true
	f.Context.Respond(response)
}

// Forward passes the message on, sender and all: the receiver owes the answer.
func (f *facade) Forward(pid *actor.PID) {
	if pid == nil {
		panic(misuse("Forward to nobody"))
	}
	f.cell.answered = true
	f.Context.Forward(pid)
}

// Watch asks to be told when an actor is gone. Parents are told of their children anyway, and the engine would tell
// them twice (P8).
func (f *facade) Watch(pid *actor.PID) {
	if pid == nil {
		panic(misuse("Watch of nobody"))
	}
	if _, own := f.cell.children[pid.GetId()]; own {
		return
	}
	f.Context.Watch(pid)
}

// Stash panics: it forgets senders and order (P9).
func (f *facade) Stash() { panic(misuse("Stash: keep a slice of kept requests instead")) }

// SetReceiveTimeout panics: it races with its own timer (P5).
func (f *facade) SetReceiveTimeout(time.Duration) {
	panic(misuse("SetReceiveTimeout: use actors.After"))
}

// ReenterAfter panics: it runs on the value of a dead incarnation (P6).
func (f *facade) ReenterAfter(actor.Future, func(any, error)) {
	panic(misuse("ReenterAfter: send a request and handle its answer"))
}

// RequestFuture panics: futures lose waiters (P3) and race (P4), and waiting blocks the actor.
func (f *facade) RequestFuture(*actor.PID, any, time.Duration) actor.Future {
	panic(misuse("RequestFuture: send a request and handle its answer"))
}

// StopFuture panics, as RequestFuture does.
func (f *facade) StopFuture(*actor.PID) actor.Future {
	panic(misuse("StopFuture: stop it and handle Terminated"))
}

// PoisonFuture panics, as RequestFuture does.
func (f *facade) PoisonFuture(*actor.PID) actor.Future {
	panic(misuse("PoisonFuture: poison it and handle Terminated"))
}

// Spawn panics: the child would be in no census and mended by nobody.
func (f *facade) Spawn(*actor.Props) *actor.PID { panic(misuse("Spawn: use actors.Spawn")) }

// SpawnPrefix panics, as Spawn does.
func (f *facade) SpawnPrefix(*actor.Props, string) *actor.PID {
	panic(misuse("SpawnPrefix: use actors.Spawn"))
}

// SpawnNamed panics, as Spawn does.
func (f *facade) SpawnNamed(*actor.Props, string) (*actor.PID, error) {
	panic(misuse("SpawnNamed: use actors.Spawn"))
}
