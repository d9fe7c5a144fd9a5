package main

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/actors/tree"
	"spindle/ansiblebridge"
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
	switch ctx.Message().(type) {
	case *actor.Started:
		if err := r.start(ctx); err != nil {
			panic(&actors.Fault{Class: "start", Err: err})
		}
	case *shutdown:
		r.stopping = true
		ctx.Stop(r.bridgePID)
		ctx.Send(r.treePID, &tree.Drain{Reason: "the multiplexer ends"})
		actors.After(ctx, shutdownGrace, &shutdownLate{})
	case *shutdownLate:
		r.log.Warn("some contexts did not end in time")
		ctx.Stop(ctx.Self())
	case *actor.Terminated:
		if r.stopping && ctx.Message().(*actor.Terminated).Who.Equal(r.treePID) {
			ctx.Stop(ctx.Self())
		}
	}
}

func (r *root) start(ctx actor.Context) (err error) {
	spawn := func(spec actors.Spec) (pid *actor.PID) {
		if err == nil {
			pid, err = actors.Spawn(ctx, spec)
		}
		return pid
	}
	r.tree.Blobs = spawn(blobs.Spec())
	r.tree.Transfers = spawn(transfers.Spec(transfers.Budget))
	r.treePID = spawn(tree.Spec(&r.tree))
	r.conns.Tree = r.treePID
	r.bridge.Connections = spawn(connections.Spec(&r.conns))
	r.bridge.Blobs = r.tree.Blobs
	r.bridgePID = spawn(ansiblebridge.Spec(&r.bridge))
	return err
}
