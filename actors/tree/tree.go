package tree

import (
	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/transports"
)

// Config is what all actors of the tree share. It is immutable after start.
type Config struct {
	Logger *zap.Logger
	// Local starts programs on the controller: the way to every first hop.
	Local transports.Spawner
	// Program makes the command line and the first flight for a boot.
	Program func(Boot) transports.Program
	// Blobs and Transfers are the services that interpreters and transfers ask.
	Blobs, Transfers *actor.PID
	// Heartbeat is how often an agent is asked for a sign of life, and Misses how many may stay unanswered.
	Heartbeat Heartbeat
}

// treeActor is the parent of all first hops. It accepts *OpenHop, *Expect, *DropHops and *Drain.
type treeActor struct {
	cfg      *Config
	expected *Expect // what agents to come are told; nil if nobody has said
	draining bool
}

// Spec describes the tree actor.
func Spec(cfg *Config) actors.Spec {
	return actors.Spec{Kind: "tree", Name: "tree", New: func() actor.Actor { return &treeActor{cfg: cfg} }}
}

func (t *treeActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *OpenHop:
		if pid := spawnHop(ctx, t.cfg, t.cfg.Local, m, ""); pid != nil && t.expected != nil {
			ctx.Send(pid, t.expected)
		}
	case *Expect:
		t.expected = m
		for _, c := range ctx.Children() {
			ctx.Send(c, m)
		}
	case *DropHops:
		for _, c := range ctx.Children() {
			ctx.Send(c, &Drain{Reason: "nobody knows of it any more"})
		}
	case *Drain:
		t.draining = true
		for _, c := range ctx.Children() {
			ctx.Send(c, m)
		}
		t.stopWhenEmpty(ctx)
	case *actor.Terminated:
		t.stopWhenEmpty(ctx)
	}
}

func (t *treeActor) stopWhenEmpty(ctx actor.Context) {
	if t.draining && len(ctx.Children()) == 0 {
		ctx.Stop(ctx.Self())
	}
}

// spawnHop starts a hop below the calling actor and reports a failure to start at once.
func spawnHop(ctx actor.Context, cfg *Config, via transports.Spawner, m *OpenHop, host string) *actor.PID {
	pid, err := actors.Spawn(ctx, hopSpec(cfg, via, m, host))
	if err != nil {
		ctx.Send(m.Report, &HopFailed{Key: m.Hop.Key, Err: err})
		return nil
	}
	return pid
}
