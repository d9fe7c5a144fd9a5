package actors_test

import (
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/actors/actorstest"
)

// spawn spawns a root that runs a function, which sees the messages but not the life, unless it asks.
func spawn(e *actorstest.Env, name string, receive func(ctx actor.Context)) *actor.PID {
	e.Helper()
	pid, err := e.System.SpawnRoot(actors.Spec{Kind: "test", Name: name, New: func() actor.Actor { return actor.ReceiveFunc(receive) }})
	if err != nil {
		e.Fatal(err)
	}
	return pid
}

type (
	ask   struct{ n int }
	reply struct{ n int }
	wait  struct{ until chan struct{} }
	boom  struct{ value any }
)

// Messages queued behind a stop used to vanish: no answer, no dead letter.
func TestP1_RequestsBehindAStopAreAnswered(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		probe := actorstest.NewProbe(t, e.System, "probe")
		hold := make(chan struct{})
		pid := spawn(e, "busy", func(ctx actor.Context) {
			if m, ok := ctx.Message().(*wait); ok {
				<-m.until
			}
		})
		e.System.Send(pid, &wait{hold})
		actorstest.Settle()
		probe.Request(pid, &ask{1})
		probe.Request(pid, &ask{2})
		e.System.Terminate(pid)
		probe.ExpectNone()
		start := time.Now()
		close(hold)
		for range 2 {
			failed := actorstest.Expect[*actors.Failed](probe)
			if !errors.Is(failed, actors.ErrStopped) || failed.Path != "busy" {
				t.Errorf("got %v, want ErrStopped from busy", failed)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("answers took %v, want none", took)
		}
	})
}
