package main

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/actors/tree"
	"spindle/ansiblebridge"
	"spindle/services"
	"spindle/services/blobs"
	"spindle/services/connections"
	"spindle/services/transfers"
)

// shutdownGrace bounds an orderly end: draining hops take at most two graces of their own each.
const shutdownGrace = 7 * time.Second

// shutdown asks the root for an orderly end: no new clients, then every hop from the leaves inwards, then the rest.
type shutdown struct{}

type shutdownLate struct{}

// root is the top of the supervision tree. It starts everything and stops everything.
type root struct {
	log    *zap.Logger
	tree   tree.Config
	conns  connections.Config
	bridge ansiblebridge.Config

	bridgePID, treePID *actor.PID
	stopping           bool
}

func (r *root) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.treePID = r.spawn(ctx, tree.Spec(&r.tree))
		r.conns.Tree = r.treePID
		r.spawn(ctx, services.Spec(blobs.Spec(), transfers.Spec(transfers.Budget), connections.Spec(&r.conns)))
	case *services.Ready:
		// Nobody reads these before the bridge lets the first worker in.
		r.tree.Blobs, r.tree.Transfers = m.PIDs[0], m.PIDs[1]
		r.bridge.Blobs, r.bridge.Connections, r.bridge.Tree = m.PIDs[0], m.PIDs[2], r.treePID
		r.bridgePID = r.spawn(ctx, ansiblebridge.Spec(&r.bridge))
	case *shutdown:
		r.stopping = true
		if r.bridgePID != nil {
			ctx.Stop(r.bridgePID)
		}
		ctx.Send(r.treePID, &tree.Drain{Reason: "the multiplexer ends"})
		actors.After(ctx, shutdownGrace, &shutdownLate{})
	case *shutdownLate:
		r.log.Warn("some contexts did not end in time")
		ctx.Stop(ctx.Self())
	case *actor.Terminated:
		r.onTerminated(ctx, m.Who)
	}
}

// onTerminated ends the root behind the tree, and without any of its children: none of them can be done without.
func (r *root) onTerminated(ctx actor.Context, who *actor.PID) {
	if r.stopping {
		if who.Equal(r.treePID) {
			ctx.Stop(ctx.Self())
		}
		return
	}
	panic(actors.Fault{Class: "child lost", Err: errors.New(who.Id)})
}

func (r *root) spawn(ctx actor.Context, spec actors.Spec) *actor.PID {
	pid, err := actors.Spawn(ctx, spec)
	if err != nil {
		panic(actors.Fault{Class: "start", Err: err})
	}
	return pid
}
