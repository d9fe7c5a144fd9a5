package actorstest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"spindle/actors"
)

// Env is what a test in a bubble gets. Its T is the bubble's: use it, not the one outside.
type Env struct {
	*testing.T
	// System is the bubble's own.
	System *actors.System
	// Logs holds everything that was logged, debug and all.
	Logs *observer.ObservedLogs
}

// Bubble runs fn in a synctest bubble with a new system, and stops the system behind it.
func Bubble(t *testing.T, fn func(e *Env)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		e := &Env{T: t, Logs: logs, System: actors.NewSystem(actors.Options{Logger: zap.New(core), Name: "test"})}
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := e.System.Stop(ctx); err != nil {
				t.Error(err)
			}
		}()
		fn(e)
	})
}

// Settle waits until everybody in the bubble waits for something.
func Settle() { synctest.Wait() }

// Within returns a context that ends after d, or with the test.
func (e *Env) Within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	e.Cleanup(cancel)
	return ctx
}

// Paths lists the paths of everything alive, parents first.
func (e *Env) Paths() []string {
	var paths []string
	for _, n := range e.System.Census().Snapshot() {
		paths = append(paths, n.Path)
	}
	return paths
}

// Spawn spawns a root, or fails the test.
func (e *Env) Spawn(spec actors.Spec) *actor.PID {
	e.Helper()
	pid, err := e.System.SpawnRoot(spec)
	if err != nil {
		e.Fatal(err)
	}
	return pid
}

// PID is the PID of a path, whether anybody lives there or not.
func (e *Env) PID(path string) *actor.PID { return actor.NewPID("nonhost", path) }
