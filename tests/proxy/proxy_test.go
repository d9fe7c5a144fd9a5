package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a listener of connections in memory, so that time can be faked.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipes) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipes) dial() net.Conn {
	a, b := net.Pipe()
	l.conns <- b
	return a
}

// bubble is a proxy in memory: the client's end, and the server's.
func bubble(t *testing.T, o Options) (*Proxy, net.Conn, net.Conn) {
	t.Helper()
	l := newPipes()
	far := make(chan net.Conn, 1)
	o.Listener = l
	o.Dial = func(context.Context) (net.Conn, error) {
		a, b := net.Pipe()
		far <- b
		return a, nil
	}
	p := New(o)
	client := l.dial()
	server := <-far
	t.Cleanup(func() { client.Close(); server.Close(); p.Close() })
	return p, client, server
}

func read(t *testing.T, c net.Conn, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(b)
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func TestDelayIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, client, server := bubble(t, Options{Delay: 50 * time.Millisecond})
		if got := time.Since(start); got != 100*time.Millisecond {
			t.Errorf("connecting took %v, want one round trip of 100ms", got)
		}
		start = time.Now()
		write(t, client, "ping")
		read(t, server, 4)
		if got := time.Since(start); got != 50*time.Millisecond {
			t.Errorf("one way took %v, want 50ms", got)
		}
		write(t, server, "pong")
		read(t, client, 4)
		if got := time.Since(start); got != 100*time.Millisecond {
			t.Errorf("round trip took %v, want 100ms", got)
		}
	})
}

func TestDelayDoesNotLimitWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client, server := bubble(t, Options{Delay: 50 * time.Millisecond})
		start := time.Now()
		for range 100 {
			write(t, client, "x")
		}
		read(t, server, 100)
		if got := time.Since(start); got != 50*time.Millisecond {
			t.Errorf("100 pipelined writes took %v, want 50ms", got)
		}
	})
}

func TestBandwidthPacesBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client, server := bubble(t, Options{Bandwidth: 1000})
		for _, way := range []struct{ from, to net.Conn }{{client, server}, {server, client}} {
			start := time.Now()
			write(t, way.from, string(make([]byte, 2000)))
			read(t, way.to, 2000)
			if got := time.Since(start); got != 2*time.Second {
				t.Errorf("2000 bytes at 1000 a second took %v", got)
			}
		}
	})
}

func TestFlightsCountWaitingRequestsOnly(t *testing.T) {
	for _, delay := range []time.Duration{0, 50 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			p, client, server := bubble(t, Options{Delay: delay})
			for range 3 { // three requests, each in two writes and answered in two
				write(t, client, "re")
				write(t, client, "q")
				read(t, server, 3)
				write(t, server, "an")
				write(t, server, "s")
				read(t, client, 3)
			}
			for range 5 { // five requests sent together: one flight
				write(t, client, "req")
			}
			read(t, server, 15)
			synctest.Wait()
			// The handshake, three, and one; the first request of a connection needs no answer before it.
			if got := p.Counters(); got.Flights != 1+2+1 || got.Up != 24 || got.Down != 9 || got.Connections != 1 {
				t.Errorf("delay %v: counters = %+v", delay, got)
			}
		})
	}
}

// TestFlightsAreLinksOfAChain: neither an answer in pieces nor what the server says unasked makes a round trip of its own.
func TestFlightsAreLinksOfAChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, server := bubble(t, Options{Delay: 50 * time.Millisecond})
		write(t, server, "hello") // unasked
		read(t, client, 5)
		write(t, client, "hello")
		write(t, server, "unasked")
		read(t, client, 7)
		write(t, client, "noted") // still the first flight: nothing of it has been answered
		read(t, server, 10)
		for range 4 { // an answer in pieces, each of which the client does something about
			write(t, server, "piece")
			time.Sleep(time.Millisecond)
		}
		for range 4 {
			read(t, client, 5)
			write(t, client, "did")
		}
		read(t, server, 12)
		if got := p.Counters().Flights; got != 1+1 {
			t.Errorf("%d flights, want the handshake and one that waited", got)
		}
	})
}

func TestStallPassesNothingUntilHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, server := bubble(t, Options{})
		p.Stall(true)
		write(t, client, "late")
		start := time.Now()
		time.AfterFunc(time.Hour, p.Heal)
		if got := read(t, server, 4); got != "late" || time.Since(start) != time.Hour {
			t.Errorf("got %q after %v, want it after the hour of silence", got, time.Since(start))
		}
	})
}

func TestGarbleInvertsBehindTheOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, server := bubble(t, Options{})
		p.Garble(Down, 2)
		write(t, server, "abcd")
		if got, want := read(t, client, 4), "ab"+string([]byte{^byte('c'), ^byte('d')}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		write(t, client, "clean")
		if got := read(t, server, 5); got != "clean" {
			t.Errorf("the other direction is garbled too: %q", got)
		}
	})
}

func TestTruncateEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, server := bubble(t, Options{})
		p.Truncate(Down, 3)
		write(t, server, "abcdef")
		got, err := io.ReadAll(client)
		if string(got) != "abc" || err != nil {
			t.Errorf("got %q, %v; want abc and the end", got, err)
		}
	})
}

func TestCutEndsEveryConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, server := bubble(t, Options{})
		p.Cut()
		for _, c := range []net.Conn{client, server} {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("read after the cut: %v, want EOF", err)
			}
		}
	})
}

// A cut ends what is still being dialled as well.
func TestCutEndsWhatIsDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		p := New(Options{Listener: l, Delay: time.Second, Dial: func(context.Context) (net.Conn, error) {
			a, b := net.Pipe()
			t.Cleanup(func() { b.Close() })
			return a, nil
		}})
		defer p.Close()
		client := l.dial()
		time.Sleep(time.Second) // the proxy still waits for the handshake's round trip
		p.Cut()
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read after the cut: %v, want EOF", err)
		}
	})
}

func TestRealSocketsCarryEverythingInOrder(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() { // an echo server
		c, err := server.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c)
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Listener: l, Delay: time.Millisecond, Dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", server.Addr().String())
	}})
	defer p.Close()
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := make([]byte, 20<<20) // more than all queues hold
	_, _ = rand.Read(want)
	go func() {
		_, _ = c.Write(want)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back of %d, %v", len(got), len(want), err)
	}
	if n := p.Counters(); n.Up != int64(len(want)) || n.Down != int64(len(want)) {
		t.Errorf("counters = %+v", n)
	}
}
