package tree

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"go.uber.org/zap"

	"spindle/bootstrap"
	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/transporttest"
)

// bootHere starts the real agent on this machine, below a tree, and returns what starts programs through it.
func bootHere(t *testing.T) *agentSpawner {
	t.Helper()
	return bootOn(t, newBench(t, Heartbeat{}))
}

// bootOn does so on a bench that the test has made.
func bootOn(t *testing.T, b *bench, wrap ...func(transports.Dialer) transports.Dialer) *agentSpawner {
	t.Helper()
	program := func(Boot) transports.Program {
		o := bootstrap.Options{Candidates: []string{"/usr/bin/python3", "python3"}, Nonce: "testnonce", Title: "spindle test"}
		return transports.Program{Argv: bootstrap.Argv(o), Flight: bootstrap.Flight(o), Nonce: o.Nonce, Candidates: o.Candidates}
	}
	tree, err := b.sys.SpawnRoot(Spec(&Config{Logger: zap.NewNop(), Program: program, Local: &local.Spawner{}, Blobs: b.service, Transfers: b.service}))
	if err != nil {
		t.Fatal(err)
	}
	dialer, err := local.Factory(json.RawMessage(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrap {
		dialer = w(dialer)
	}
	b.say(tree, &OpenHop{Hop: &Hop{Key: "k", Dialer: dialer}, Report: b.client})
	ready := expect[*HopReady](b)
	// Every test leaves by way of BYE, so that the agent has the time to clean up.
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		b.sys.Send(b.client, &watch{ready.Hop})
		b.sys.Send(tree, &Drain{Reason: "test"})
		select {
		case <-b.mail:
		case <-ctx.Done():
			t.Error("the hop did not end")
		}
	})
	return &agentSpawner{system: b.sys, interp: ready.Interpreter}
}

// A program behind an agent is a Link like any other.
func TestRelayKeepsTheContractOfLinks(t *testing.T) {
	transporttest.Run(t, transporttest.Config{
		New:   func(t *testing.T) transports.Spawner { return bootHere(t) },
		Alive: transporttest.AliveHere, LateStart: true,
	})
}
