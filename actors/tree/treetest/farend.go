package treetest

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/wire"
)

// link is a transports.Link over one half of a net.Pipe.
type link struct {
	net.Conn
	once sync.Once
	done chan struct{}
}

func (l *link) CloseWrite() error     { return nil } // a pipe has no half that could be closed, and BYE comes ahead of this
func (l *link) Side() transports.Side { return nil }
func (l *link) Wait(ctx context.Context) (transports.Exit, error) {
	select {
	case <-l.done:
		return transports.Exit{}, nil
	case <-ctx.Done():
		return transports.Exit{}, ctx.Err()
	}
}

func (l *link) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Conn.Close()
}

// FarEnd is an agent played by the test: it reads frames and answers as the test says.
type FarEnd struct {
	T    *testing.T
	Conn net.Conn
	in   *wire.Reader
}

// Next returns the next frame, skipping heartbeats; the end of the link reads as BYE.
func (f *FarEnd) Next() wire.Frame {
	f.T.Helper()
	for {
		fr, err := f.in.Next()
		if err != nil {
			return wire.Frame{Header: wire.Bye{}}
		}
		if p, ok := fr.Header.(wire.Ping); ok {
			f.Send(fr.ID, wire.Ping{Reply: true, Stamp: p.Stamp}, nil)
			continue
		}
		return fr
	}
}

// Send writes a frame.
func (f *FarEnd) Send(id uint32, h wire.Header, body []byte) {
	f.T.Helper()
	b, err := wire.Append(nil, wire.Frame{ID: id, Header: h, Body: body})
	if err == nil {
		_, err = f.Conn.Write(b)
	}
	if err != nil {
		f.T.Logf("far end write: %v", err)
	}
}

// Dialer boots a FarEnd and runs Play in a goroutine that is joined at the end of the test.
type Dialer struct {
	T *testing.T
	// Label is the hop's name.
	Label string
	// Play is the agent.
	Play func(*FarEnd)
	// Err fails the dial instead.
	Err error
	// Gate, if set, holds the dial back until it is closed.
	Gate chan struct{}
	// Joined counts the far ends that still run.
	Joined *sync.WaitGroup
	// Facts is the body of its HELLO; empty for some that do for most tests.
	Facts string
	// Version is what it says of its Python; it may be empty.
	Version string
	// Behind has it wait for what is to be written behind the flight.
	Behind bool
	// Through says that others are to be connected to through this one.
	Through bool
	// Dials counts the dials, BareDials those that asked for no agent.
	Dials, BareDials atomic.Int32
}

// Name returns Label.
func (d *Dialer) Name() string { return d.Label }

// Timeout is long enough for any test.
func (d *Dialer) Timeout() time.Duration { return 5 * time.Second }

// Dial returns one half of a pipe whose other half is Play's.
func (d *Dialer) Dial(ctx context.Context, _ transports.Spawner, p transports.Program) (*transports.Booted, error) {
	d.Dials.Add(1)
	if d.Gate != nil {
		select {
		case <-d.Gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if d.Err != nil {
		return nil, d.Err
	}
	near, far := net.Pipe()
	d.Joined.Add(1)
	go func() {
		defer d.Joined.Done()
		defer far.Close()
		d.Play(&FarEnd{T: d.T, Conn: far, in: wire.NewReader(far)})
	}()
	var behind int64
	if d.Behind {
		select {
		case frame := <-p.Behind:
			behind = int64(len(frame.Body))
			written, err := wire.Append(nil, frame)
			if err != nil {
				d.T.Error(err)
			}
			_, _ = near.Write(written)
		case <-ctx.Done():
			near.Close()
			return nil, ctx.Err()
		}
	}
	facts := []byte(d.Facts)
	if d.Facts == "" {
		facts, _ = json.Marshal(map[string]string{"python": "/usr/bin/python3", "hostname": "web1"})
	}
	return &transports.Booted{
		Link: &link{Conn: near, done: make(chan struct{})}, Frames: wire.NewReader(near),
		Hello: wire.Frame{Header: wire.Hello{Proto: wire.Proto, Role: "agent", Version: d.Version}, Body: facts}, How: "test", Behind: behind,
	}, nil
}

// UntilGone reads frames until the link ends, answering BYE by closing as an agent does. It is the plainest Play.
func UntilGone(f *FarEnd) {
	for {
		fr, err := f.in.Next()
		if err != nil {
			return
		}
		switch h := fr.Header.(type) {
		case wire.Bye:
			return
		case wire.Ping:
			f.Send(fr.ID, wire.Ping{Reply: true, Stamp: h.Stamp}, nil)
		}
	}
}

// Mute reads frames until the link ends and answers nothing, not even heartbeats.
func Mute(f *FarEnd) {
	for {
		if _, err := f.in.Next(); err != nil {
			return
		}
	}
}
