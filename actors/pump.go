package actors

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors/census"
)

// ErrPumpExit says that a pump left its goroutine (runtime.Goexit) instead of returning.
var ErrPumpExit = errors.New("pump exited its goroutine")

// pumpKind is what pumps are called in the census.
const pumpKind = "pump"

// Pump is a goroutine that belongs to an actor: a loop that may block where an actor must not. To the engine it is a
// child of its owner, so the owner is not gone before its pumps are (G5), and to the census it is a node of kind "pump".
type Pump struct {
	name       string
	path       string
	owner      *cell
	generation uint64 // of the owner
	self       *actor.PID
	entry      *census.Entry
	cancel     context.CancelCauseFunc
	done       chan struct{}
	pumping    context.Context
	fn         func(context.Context) error
	begun      sync.Once

	mu       sync.Mutex
	ending   bool        // its owner ends
	released bool        // its owner was told that it is gone
	grace    *time.Timer // runs while the owner waits
}

func (*Pump) isChild() {}

// PumpDone tells an actor that its pump has returned. It comes behind everything that the pump itself has sent. An
// actor that is ending is not told.
type PumpDone struct {
	// Name is what the pump was called in Go.
	Name string
	// Err is what it returned, or the Fault it panicked with.
	Err error
}

// Go runs fn in a goroutine that belongs to the actor. Its context ends when the actor stops or restarts, or at
// [Pump.Stop], with the cause ErrStopped; fn must return then. A pump that blocks elsewhere has to be freed by the
// actor's Stopping and Restarting handler, which runs first (closing the link, say). When fn returns or panics, the
// actor gets a PumpDone. If the actor is ending already, fn is not run.
func Go(ctx actor.Context, name string, fn func(ctx context.Context) error) *Pump {
	p := Later(ctx, name, fn)
	p.Start()
	return p
}

// Later is Go for what is to be done in the end: fn runs when [Pump.Start] is called, and no later than its owner ends, with a context
// that has ended too. Until then there is no goroutine.
func Later(ctx actor.Context, name string, fn func(ctx context.Context) error) *Pump {
	c := cellOf(ctx)
	pumping, cancel := context.WithCancelCause(context.Background())
	p := &Pump{name: name, owner: c, generation: c.generation, pumping: pumping, cancel: cancel, fn: fn, done: make(chan struct{})}
	if c.phase != running {
		cancel(ErrStopped)
		close(p.done)
		p.begun.Do(func() {})
		return p
	}
	// The engine keeps as its children whatever the spawner returns, which need not be an actor.
	props := actor.PropsFromFunc(func(actor.Context) {}, actor.WithSpawnFunc(
		func(engine *actor.ActorSystem, id string, _ *actor.Props, _ actor.SpawnerContext) (*actor.PID, error) {
			pid, free := engine.ProcessRegistry.Add(pumpProcess{p}, id)
			if !free {
				return nil, actor.ErrNameExists
			}
			return pid, nil
		}))
	pid, err := claim(name, func(name string) (*actor.PID, error) {
		if _, taken := c.children[c.path+"/"+name]; taken {
			return nil, actor.ErrNameExists
		}
		return c.context.SpawnNamed(props, name)
	})
	if err != nil {
		panic(err) // the spawner above fails on taken names only, and claim goes on until one is free
	}
	p.self, p.path = pid, pid.Id
	p.entry = c.system.census.Add(p.path, pumpKind)
	p.entry.SetPhase(census.Running)
	c.adopt(p.path, p)
	return p
}

// Start lets a pump of [Later] run. It may be called again.
func (p *Pump) Start() { p.begun.Do(func() { go p.run() }) }

// Name is what the pump was called.
func (p *Pump) Name() string { return p.name }

// Stop ends the pump's context. PumpDone comes when fn has returned.
func (p *Pump) Stop() {
	p.cancel(ErrStopped)
	p.Start()
}

// Done is closed when the pump has returned.
func (p *Pump) Done() <-chan struct{} { return p.done }

// run is the goroutine.
func (p *Pump) run() {
	err := ErrPumpExit
	defer func() {
		if reason := recover(); reason != nil {
			fault := faultOf(reason)
			err = fault
			p.entry.Fail(fault.Error())
			p.owner.system.census.Record(census.Failed, p.path, pumpKind, fault.Error())
			p.owner.system.log.Warn("pump failed", zap.String("path", p.path), zap.String("class", fault.Class),
				zap.String("err", fault.Error()))
		}
		p.finish(err)
	}()
	err = p.fn(p.pumping)
}

// finish tells the owner, and last of all that it may go.
func (p *Pump) finish(err error) {
	p.cancel(ErrStopped)
	p.mu.Lock()
	if p.grace != nil {
		p.grace.Stop()
	}
	p.mu.Unlock()
	// An owner that ends, or began a new life, does not get to see it.
	p.owner.PostUserMessage(&inward{generation: p.generation, message: &PumpDone{Name: p.name, Err: err}})
	p.owner.system.census.Remove(p.entry, p.entry.Failure())
	close(p.done)
	p.release()
}

// release lets the owner go. It reports false if that was done before.
func (p *Pump) release() bool {
	p.mu.Lock()
	first := !p.released
	p.released = true
	p.mu.Unlock()
	if first {
		p.owner.system.engine.ProcessRegistry.Remove(p.self)
		p.owner.PostSystemMessage(&actor.Terminated{Who: p.self})
	}
	return first
}

// end is called when the owner ends. If the pump does not return in time, the owner goes without it: a stuck system
// call must not keep the whole tree from stopping (G7).
func (p *Pump) end(grace time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending || p.released {
		return
	}
	p.ending = true
	p.entry.SetPhase(census.Stopping)
	p.cancel(ErrStopped)
	p.Start()
	p.grace = time.AfterFunc(grace, func() {
		if !p.release() {
			return
		}
		p.entry.SetPhase(census.Abandoned)
		p.owner.system.census.Record(census.Lost, p.path, pumpKind, "")
		p.owner.system.log.Error("pump does not return", zap.String("path", p.path), zap.Duration("took", grace))
	})
}

// pumpProcess is what the engine knows of a pump: a child that can be told to stop.
type pumpProcess struct{ pump *Pump }

var _ actor.Process = pumpProcess{}

// SendSystemMessage takes the engine's order to stop.
func (pp pumpProcess) SendSystemMessage(_ *actor.PID, message any) {
	p := pp.pump
	switch m := message.(type) {
	case *actor.Stop:
		p.end(p.owner.system.pumpGrace)
	case *actor.Watch:
		p.owner.system.sendSystem(m.Watcher, &actor.Terminated{Who: p.self, Why: actor.TerminatedReason_NotFound})
	}
}

// SendUserMessage answers for the pump, which takes no messages.
func (pp pumpProcess) SendUserMessage(_ *actor.PID, message any) {
	_, payload, sender := actor.UnwrapEnvelope(message)
	pp.pump.owner.system.undelivered(pp.pump.path, pumpKind, payload, sender, ErrStopped)
}

// Stop is the engine's other way to say it.
func (pp pumpProcess) Stop(*actor.PID) { pp.pump.end(pp.pump.owner.system.pumpGrace) }
