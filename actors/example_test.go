package actors_test

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
)

// A lookup takes a while, so the actor leaves it to a pump and keeps the request open meanwhile.
type resolver struct {
	open map[string]*actors.Reply
}

type (
	resolve  struct{ host string }
	resolved struct{ host, address string }
)

func (r *resolver) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *resolve:
		r.open[m.host] = actors.Keep(ctx)
		self, system := ctx.Self(), actors.SystemOf(ctx)
		actors.Go(ctx, "lookup:"+m.host, func(context.Context) error {
			system.Send(self, &resolved{m.host, "192.0.2.7"})
			return nil
		})
	case *resolved:
		r.open[m.host].Send(m)
		delete(r.open, m.host)
		actors.Describe(ctx, actors.Facts{State: "idle"})
	}
}

func Example() {
	system := actors.NewSystem(actors.Options{})
	pid, err := system.SpawnRoot(actors.Spec{
		Kind: "resolver",
		New:  func() actor.Actor { return &resolver{open: make(map[string]*actors.Reply)} },
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answer, err := system.Request(ctx, pid, &resolve{"web1"})
	fmt.Println(answer.(*resolved).address, err)
	fmt.Println(system.Stop(ctx), system.Census().Len())
	// Output:
	// 192.0.2.7 <nil>
	// <nil> 0
}
