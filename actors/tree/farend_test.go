package tree

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipeLink is a transports.Link over one half of a net.Pipe.
type pipeLink struct {
	net.Conn
	once sync.Once
	done chan struct{}
}

func (l *pipeLink) CloseWrite() error     { return l.Close() }
func (l *pipeLink) Side() transports.Side { return nil }
func (l *pipeLink) Wait(ctx context.Context) (transports.Exit, error) {
	select {
	case <-l.done:
		return transports.Exit{}, nil
	case <-ctx.Done():
		return transports.Exit{}, ctx.Err()
	}
}

func (l *pipeLink) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Conn.Close()
}

// farEnd is an agent played by the test: it reads frames and answers as the test says.
type farEnd struct {
	t    *testing.T
	conn net.Conn
	in   *wire.Reader
}

// next returns the next frame, skipping heartbeats.
func (f *farEnd) next() wire.Frame {
	f.t.Helper()
	for {
		fr, err := f.in.Next()
		if err != nil {
			f.t.Errorf("far end: %v", err)
			return wire.Frame{Header: wire.Bye{}}
		}
		if p, ok := fr.Header.(wire.Ping); ok {
			f.send(fr.ID, wire.Ping{Reply: true, Stamp: p.Stamp}, nil)
			continue
		}
		return fr
	}
}

func (f *farEnd) send(id uint32, h wire.Header, body []byte) {
	f.t.Helper()
	b, err := wire.Append(nil, wire.Frame{ID: id, Header: h, Body: body})
	if err == nil {
		_, err = f.conn.Write(b)
	}
	if err != nil {
		f.t.Logf("far end write: %v", err)
	}
}

// fakeDialer boots a farEnd and runs play in a goroutine that is joined at the end of the test.
type fakeDialer struct {
	t    *testing.T
	name string
	play func(*farEnd)
	err  error
	wg   *sync.WaitGroup
}

func (d *fakeDialer) Name() string           { return d.name }
func (d *fakeDialer) Timeout() time.Duration { return 5 * time.Second }
func (d *fakeDialer) Dial(ctx context.Context, _ transports.Spawner, _ transports.Program) (*transports.Booted, error) {
	if d.err != nil {
		return nil, d.err
	}
	near, far := net.Pipe()
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		defer far.Close()
		d.play(&farEnd{t: d.t, conn: far, in: wire.NewReader(far)})
	}()
	facts, _ := json.Marshal(map[string]string{"python": "/usr/bin/python3", "hostname": "web1"})
	return &transports.Booted{
		Link: &pipeLink{Conn: near, done: make(chan struct{})}, Frames: wire.NewReader(near),
		Hello: wire.Frame{Header: wire.Hello{Proto: wire.Proto, Role: "agent"}, Body: facts}, How: "test",
	}, nil
}

// bench is a system with a tree and stand-ins for the services that it asks.
type bench struct {
	t      *testing.T
	sys    *actors.System
	tree   *actor.PID
	wg     sync.WaitGroup
	blobs  map[wire.Digest]*Fetched
	mail   chan any
	client *actor.PID
}

// service answers Fetch and Reserve.
type service struct{ b *bench }

func (s *service) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Fetch:
		if f := s.b.blobs[m.Closure]; f != nil {
			ctx.Respond(f)
		} else {
			ctx.Respond(&Unknown{Closure: m.Closure})
		}
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
	case *HopReady, *HopFailed, *Done, *Output, *InputCredit, *actors.Failed:
		c.mail <- m
	}
}

func newBench(t *testing.T, beat Heartbeat) *bench {
	b := &bench{t: t, sys: actors.NewSystem(actors.Options{Logger: zap.NewNop(), Name: "test"}), blobs: map[wire.Digest]*Fetched{}, mail: make(chan any, 1000)}
	must := func(pid *actor.PID, err error) *actor.PID {
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	svc := must(b.sys.SpawnRoot(actors.Spec{Kind: "service", Name: "service", New: func() actor.Actor { return &service{b} }}))
	b.client = must(b.sys.SpawnRoot(actors.Spec{Kind: "client", Name: "client", New: func() actor.Actor { return &client{b.mail} }}))
	b.tree = must(b.sys.SpawnRoot(Spec(&Config{
		Logger: zap.NewNop(), Program: func(Boot) transports.Program { return transports.Program{} }, Blobs: svc, Transfers: svc, Heartbeat: beat,
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
func (b *bench) open(parent *actor.PID, name string, play func(*farEnd)) *HopReady {
	b.t.Helper()
	b.say(parent, &OpenHop{Hop: &Hop{Key: name, Dialer: &fakeDialer{t: b.t, name: name, play: play, wg: &b.wg}}, Report: b.client})
	return expect[*HopReady](b)
}

// untilGone reads frames until the link ends, answering BYE by closing as an agent does.
func untilGone(f *farEnd) {
	for {
		fr, err := f.in.Next()
		if err != nil {
			return
		}
		switch h := fr.Header.(type) {
		case wire.Bye:
			return
		case wire.Ping:
			f.send(fr.ID, wire.Ping{Reply: true, Stamp: h.Stamp}, nil)
		}
	}
}

func sumOf(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

var _ io.Reader = (*pipeLink)(nil)
