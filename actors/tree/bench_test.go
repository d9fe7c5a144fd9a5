package tree

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/actors/tree/treetest"
	"spindle/transports"
	"spindle/transports/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a system with a tree and stand-ins for the services that it asks.
type bench struct {
	t        *testing.T
	sys      *actors.System
	tree     *actor.PID
	wg       sync.WaitGroup
	blobs    map[wire.Digest][]*Blob // by closure
	python2  map[wire.Digest]bool    // which of them are for Python 2 only
	mail     chan any
	silences chan time.Duration
	client   *actor.PID
	// service stands for the blobs and the transfers service.
	service *actor.PID
}

// service answers Fetch, Load and Reserve.
type service struct{ b *bench }

func (s *service) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Fetch:
		blobs := s.b.blobs[m.Closure]
		if blobs == nil {
			ctx.Respond(&Unknown{Closure: m.Closure})
			return
		}
		f := &Fetched{Closure: m.Closure}
		for _, b := range blobs {
			f.Blobs = append(f.Blobs, BlobSize{Digest: b.Digest, Size: b.Size, Python2: s.b.python2[b.Digest]})
		}
		ctx.Respond(f)
	case *Load:
		content := map[wire.Digest]*Blob{}
		for _, b := range s.b.blobs[m.Closure] {
			content[b.Digest] = b
		}
		l := &Loaded{Closure: m.Closure}
		if len(m.Bundled) > 0 {
			var contents [][]byte
			for _, d := range m.Bundled {
				contents = append(contents, content[d].Content)
			}
			b := &Blob{Digest: wire.BundleName(m.Bundled), Encoding: wire.EncodingBundle}
			b.Content, b.Size = wire.Bundle(contents)
			l.Blobs = append(l.Blobs, b)
		}
		for _, d := range m.Single {
			l.Blobs = append(l.Blobs, content[d])
		}
		ctx.Respond(l)
	case *Reserve:
		ctx.Respond(&Reserved{Bytes: m.Bytes})
	}
}

// client sends what the test says, as itself, and keeps what comes back.
type client struct{ mail chan any }

type say struct {
	to  *actor.PID
	msg any
}

type gone struct{ m *actor.Terminated }

type watch struct{ who *actor.PID }

func (c *client) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *say:
		ctx.Request(m.to, m.msg)
	case *watch:
		ctx.Watch(m.who)
	case *actor.Terminated:
		ctx.Send(ctx.Self(), &gone{m}) // behind what was sent before it: the engine lets it overtake
	case *gone:
		c.mail <- m.m
	case *HopReady, *HopFailed, *Done, *Output, *InputCredit, *tripMeasured, *actors.Failed:
		c.mail <- m
	}
}

func newBench(t *testing.T, beat Heartbeat) *bench {
	b := &bench{t: t, sys: actors.NewSystem(actors.Options{Logger: zap.NewNop(), Name: "test"}), blobs: map[wire.Digest][]*Blob{}, mail: make(chan any, 1000), silences: make(chan time.Duration, 1000)}
	must := func(pid *actor.PID, err error) *actor.PID {
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	svc := must(b.sys.SpawnRoot(actors.Spec{Kind: "service", Name: "service", New: func() actor.Actor { return &service{b} }}))
	b.service = svc
	b.client = must(b.sys.SpawnRoot(actors.Spec{Kind: "client", Name: "client", New: func() actor.Actor { return &client{b.mail} }}))
	b.tree = must(b.sys.SpawnRoot(Spec(&Config{
		Logger: zap.NewNop(), Program: b.program, Blobs: svc, Transfers: svc, Heartbeat: beat,
	})))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := b.sys.Stop(ctx); err != nil {
			t.Error(err)
		}
		b.wg.Wait()
	})
	return b
}

// program notes how long the agent is to live in silence.
func (b *bench) program(boot Boot) transports.Program {
	b.silences <- boot.Silence
	return transports.Program{}
}

func (b *bench) say(to *actor.PID, msg any) { b.sys.Send(b.client, &say{to, msg}) }

// expect returns the next message to the client, which must be a T.
func expect[T any](b *bench) T {
	b.t.Helper()
	select {
	case m := <-b.mail:
		got, ok := m.(T)
		if !ok {
			b.t.Fatalf("got %T %+v, want %T", m, m, *new(T))
		}
		return got
	case <-time.After(10 * time.Second):
		b.t.Fatalf("nothing came, want %T", *new(T))
	}
	panic("unreachable")
}

// open dials a hop whose far end is play, below parent.
func (b *bench) open(parent *actor.PID, name string, play func(*treetest.FarEnd)) *HopReady {
	b.t.Helper()
	b.say(parent, &OpenHop{Hop: &Hop{Key: name, Dialer: &treetest.Dialer{T: b.t, Label: name, Play: play, Joined: &b.wg}}, Report: b.client})
	return expect[*HopReady](b)
}

func sumOf(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
