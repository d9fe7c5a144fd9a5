package tree

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/actors/tree/treetest"
	"spindle/transports"
	"spindle/transports/wire"
)

// A dial that is cancelled before its program has been asked for starts none.
func TestAProgramThatNobodyWaitsForIsNotStarted(t *testing.T) {
	b := newBench(t, Heartbeat{})
	hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		if fr := f.Next(); fr.Header.Kind() != wire.KindBye {
			t.Errorf("the agent was sent a %s frame", fr.Header.Kind())
		}
	})
	r := newRelay(b.sys, hop.Interpreter, transports.Pipes)
	_ = r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	reply, err := b.sys.Request(ctx, hop.Interpreter, &openStream{relay: r, command: transports.Command{Argv: []string{"true"}}})
	if _, refused := reply.(*streamRefused); !refused {
		t.Errorf("%#v, %v", reply, err)
	}
	// Nothing keeps the interpreter from leaving.
	b.sys.Send(b.client, &watch{hop.Hop})
	b.sys.Send(hop.Hop, &Retire{})
	expect[*actor.Terminated](b)
}

// One that is cancelled behind that, and before it has heard, has it ended.
func TestAProgramThatNobodyWaitsForAnyMoreIsEnded(t *testing.T) {
	b := newBench(t, Heartbeat{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ended := make(chan uint32, 1)
	interp, err := b.sys.SpawnRoot(actors.Spec{Kind: "test", Name: "interp", New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *openStream:
				m.relay.opened(7)
				cancel()
			case *streamClose:
				ended <- m.id
			}
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := &agentSpawner{system: b.sys, interp: interp}
	if link, err := s.Spawn(ctx, transports.Command{Argv: []string{"true"}}); err == nil {
		t.Fatalf("got %v", link)
	}
	select {
	case id := <-ended:
		if id != 7 {
			t.Errorf("program %d was ended", id)
		}
	case <-time.After(10 * time.Second):
		t.Error("the program goes on")
	}
}
