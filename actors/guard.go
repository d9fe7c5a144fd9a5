package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors/census"
)

// guard stands in front of one incarnation of an actor. The engine sees the guard; the guard keeps the order of life
// and lets no panic break an ending.
type guard struct {
	cell  *cell
	actor actor.Actor
	ended bool // Stopping or Restarting was handled
}

// Receive hands the engine's message on to the actor, with the house's context in place of the engine's.
func (g *guard) Receive(ctx actor.Context) {
	c := g.cell
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.phase = running
		c.entry.SetPhase(census.Running)
		if c.generation > 1 {
			c.ending.Store(nil)
			c.entry.Restarted()
			c.system.census.Record(census.Restarted, c.path, c.spec.Kind, "")
		}
		g.actor.Receive(&c.facade)
	case *actor.Restarting:
		c.phase = restarting
		c.entry.SetPhase(census.Restarting)
		g.end(c.cause())
	case *actor.Stopping:
		c.phase = stopping
		c.entry.SetPhase(census.Stopping)
		g.end(c.stopped())
	case *actor.Stopped:
		c.phase = gone
		g.protected()
		// Before the parent is told, so that it never leaves the census ahead of its child (G5).
		why := ""
		if own := c.ending.Load(); own != nil {
			why = own.Err.Error()
		}
		c.system.census.Remove(c.entry, why)
		if c.parent == nil {
			c.system.rootGone(c)
		}
	case *actor.Terminated:
		path := m.GetWho().GetId()
		former, own := c.children[path]
		delete(c.children, path)
		if _, pump := former.(*Pump); own && pump {
			return // PumpDone tells the actor what it needs to know
		}
		if c.phase == running {
			g.actor.Receive(&c.facade)
		} else {
			// A panic here would keep the engine from noticing that the last child is gone.
			g.protected()
		}
	default:
		g.actor.Receive(&c.facade)
	}
}

// end lets the actor clean up, once, and then ends what it left.
func (g *guard) end(cause error) {
	if !g.ended {
		g.ended = true
		g.protected()
	}
	g.cell.settle(cause)
}

// protected runs the handler and records a panic instead of passing it on: the engine would restart an actor that
// panics in Stopping (P7), and strand one that panics in Stopped.
func (g *guard) protected() {
	defer func() {
		if reason := recover(); reason != nil {
			g.cell.note(faultOf(reason))
		}
	}()
	g.actor.Receive(&g.cell.facade)
}
