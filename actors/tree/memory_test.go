package tree

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/wire"
)

// quiet is a link to an agent that costs nothing itself: it says what was prepared, and then nothing. What is written to it is dropped.
type quiet struct {
	said   *bytes.Reader
	read   func() // called when everything that was prepared has been read
	wrote  func() // called when the last words have been written
	once   sync.Once
	closed chan struct{}
}

func (q *quiet) Read(b []byte) (int, error) {
	if q.said.Len() > 0 {
		return q.said.Read(b)
	}
	q.read()
	<-q.closed
	return 0, io.EOF
}

func (q *quiet) Write(b []byte) (int, error) {
	if bytes.HasSuffix(b, lastWords) {
		q.wrote()
	}
	return len(b), nil
}

func (q *quiet) CloseWrite() error     { return nil }
func (q *quiet) Side() transports.Side { return nil }
func (q *quiet) Packs() bool           { return true }
func (q *quiet) Close() error          { q.once.Do(func() { close(q.closed) }); return nil }

func (q *quiet) Wait(ctx context.Context) (transports.Exit, error) {
	select {
	case <-q.closed:
		return transports.Exit{}, nil
	case <-ctx.Done():
		return transports.Exit{}, ctx.Err()
	}
}

var lastWords = []byte("last words")

type quietDialer struct {
	name string
	said []byte
	done func() // called twice
}

func (d *quietDialer) Name() string         { return d.name }
func (*quietDialer) Timeout() time.Duration { return time.Minute }

func (d *quietDialer) Dial(context.Context, transports.Spawner, transports.Program) (*transports.Booted, error) {
	l := &quiet{said: bytes.NewReader(d.said), read: sync.OnceFunc(d.done), wrote: sync.OnceFunc(d.done), closed: make(chan struct{})}
	return &transports.Booted{
		Link: l, Frames: wire.NewReader(l), How: "test",
		Hello: wire.Frame{Header: wire.Hello{Proto: wire.Proto, Role: "agent"}, Body: []byte(`{"python":"/usr/bin/python3","hostname":"web1"}`)},
	}, nil
}

// An idle hop with its interpreter, over which many calls have gone packed, takes less than 64 KiB: ten thousand of them
// are to live in one process.
func TestIdleHopsAreSmall(t *testing.T) {
	const hops, frames = 300, 40
	var said []byte
	var stream wire.Packer
	body := func(n int) []byte { return fmt.Appendf(nil, `{}{"key": "%0700d"}`, n) }
	for n := range frames {
		log, err := wire.Append(nil, wire.Frame{Header: wire.Log{Level: 10, Logger: "agent", Text: string(body(n))}})
		if err == nil {
			said, err = stream.Append(said, log)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b := newBench(t, Heartbeat{Interval: time.Hour})
	// The first ones pay for what all share.
	open := func(from, count int) {
		var heard sync.WaitGroup
		heard.Add(2 * count)
		for n := range count {
			d := &quietDialer{fmt.Sprintf("ssh:host%d", from+n), said, heard.Done}
			b.say(b.tree, &OpenHop{Hop: &Hop{Key: d.name, Dialer: d}, Report: b.client})
			p := expect[*HopReady](b).Interpreter
			for i := range frames {
				b.say(p, &Invoke{Key: uint32(i), Call: wire.Call{Op: "exec", MetaLen: 2, Flags: wire.FlagNoReply}, Body: body(i)})
			}
			b.say(p, &sendFrame{wire.Frame{ID: 1, Header: wire.Data{}, Body: lastWords}}) // behind all else
		}
		heard.Wait()
	}
	held := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	open(0, 20)
	before := held()
	open(20, hops)
	each := (int64(held()) - int64(before)) / hops
	t.Logf("%d bytes for each hop", each)
	if each > 64<<10 {
		t.Errorf("%d bytes for each idle hop, want at most %d", each, 64<<10)
	}
}
