package actors_test

import (
	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/actors/actorstest"
	"spindle/actors/census"
)

type (
	ask   struct{ n int }
	reply struct{ n int }
	wait  struct{ until chan struct{} }
	boom  struct{ value any }
)

// spawn makes a root of a function.
func spawn(e *actorstest.Env, name string, receive func(ctx actor.Context)) *actor.PID {
	e.Helper()
	return e.Spawn(actors.Spec{
		Kind: "test", Name: name,
		New: func() actor.Actor { return actor.ReceiveFunc(receive) },
	})
}

// mustSpawn makes a child of a function, inside an actor.
func mustSpawn(ctx actor.Context, name string, receive func(ctx actor.Context)) *actor.PID {
	pid, err := actors.Spawn(ctx, actors.Spec{
		Kind: "test", Name: name,
		New: func() actor.Actor { return actor.ReceiveFunc(receive) },
	})
	if err != nil {
		panic(err)
	}
	return pid
}

// service makes a root "services" that restarts its one child, and returns the root.
func service(e *actorstest.Env, name string, make func() actor.Actor) *actor.PID {
	e.Helper()
	return e.Spawn(actors.Spec{
		Kind: "services",
		New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); ok {
					if _, err := actors.Spawn(ctx, actors.Spec{Kind: "service", Name: name, New: make}); err != nil {
						panic(err)
					}
				}
			})
		},
		Supervise: actors.RestartWithBackoff(actors.Backoff{}),
	})
}

// count counts the events of a type that happened to a path.
func count(e *actorstest.Env, t census.EventType, path string) (n int) {
	for _, event := range e.System.Census().Events(0) {
		if event.Type == t && event.Path == path {
			n++
		}
	}
	return n
}

// caught returns what fn panics with.
func caught(fn func()) (value any) {
	defer func() { value = recover() }()
	fn()
	return nil
}
