package services

import (
	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
)

// Ready tells the parent that all services have been started: their PIDs, in the order of Specs.
type Ready struct{ PIDs []*actor.PID }

type group struct{ specs []actors.Spec }

// Spec describes the services supervisor. Its parent gets *Ready.
func Spec(specs ...actors.Spec) actors.Spec {
	return actors.Spec{
		Kind: "services", Name: "services", Supervise: actors.RestartWithBackoff(actors.Backoff{}),
		New: func() actor.Actor { return &group{specs: specs} },
	}
}

func (g *group) Receive(ctx actor.Context) {
	if _, started := ctx.Message().(*actor.Started); !started {
		return
	}
	m := &Ready{}
	for _, spec := range g.specs {
		pid, err := actors.Spawn(ctx, spec)
		if err != nil {
			panic(actors.Fault{Class: "start", Err: err})
		}
		m.PIDs = append(m.PIDs, pid)
	}
	ctx.Send(ctx.Parent(), m)
}
