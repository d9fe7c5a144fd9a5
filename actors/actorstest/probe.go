package actorstest

import (
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
)

// Envelope is a message as it was received.
type Envelope struct {
	Message any
	Sender  *actor.PID
}

// Probe is an actor that records what it is sent. Its methods are for the test's goroutine.
type Probe struct {
	t      testing.TB
	system *actors.System
	pid    *actor.PID

	mu  sync.Mutex // the test reads what the actor writes
	got []Envelope
}

// Probe spawns a probe as a root.
func (e *Env) Probe(name string) *Probe {
	e.Helper()
	p := &Probe{t: e.T, system: e.System}
	p.pid = e.Spawn(actors.Spec{Kind: "probe", Name: name, New: func() actor.Actor { return actor.ReceiveFunc(p.receive) }})
	return p
}

// receive records everything but the probe's own life.
func (p *Probe) receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Started, *actor.Stopping, *actor.Stopped, *actor.Restarting:
		return
	case *watch:
		ctx.Watch(ctx.Message().(*watch).pid)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, Envelope{Message: ctx.Message(), Sender: ctx.Sender()})
}

type watch struct{ pid *actor.PID }

// PID is the probe's.
func (p *Probe) PID() *actor.PID { return p.pid }

// Request sends a message whose answer comes to the probe.
func (p *Probe) Request(pid *actor.PID, message any) { p.system.SendAs(pid, message, p.pid) }

// Watch makes the probe receive Terminated when pid is gone.
func (p *Probe) Watch(pid *actor.PID) { p.system.Send(p.pid, &watch{pid}) }

// Envelopes returns, and forgets, what was received so far. Settle first.
func (p *Probe) Envelopes() []Envelope {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.got
	p.got = nil
	return got
}

// Messages is Envelopes without the senders.
func (p *Probe) Messages() []any {
	var messages []any
	for _, e := range p.Envelopes() {
		messages = append(messages, e.Message)
	}
	return messages
}

// ExpectNone settles, and fails the test if anything was received.
func (p *Probe) ExpectNone() {
	p.t.Helper()
	Settle()
	for _, e := range p.Envelopes() {
		p.t.Errorf("%s got %T, want nothing", p.pid.Id, e.Message)
	}
}

// Expect settles, takes the oldest message out of the probe and fails the test unless it is a T.
func Expect[T any](p *Probe) T {
	p.t.Helper()
	Settle()
	p.mu.Lock()
	defer p.mu.Unlock()
	var none T
	if len(p.got) == 0 {
		p.t.Fatalf("%s got nothing, want a %T", p.pid.Id, none)
	}
	message, ok := p.got[0].Message.(T)
	if !ok {
		p.t.Fatalf("%s got a %T, want a %T", p.pid.Id, p.got[0].Message, none)
	}
	p.got = p.got[1:]
	return message
}
